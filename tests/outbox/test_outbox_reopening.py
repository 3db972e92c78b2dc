"""A file that an earlier process left, finished or killed: what waits goes on."""

import asyncio
import contextlib
import sqlite3
import time

import pytest
from disk import MONTH, Peeking, begin, crash, leave, on_disk, outcomes
from line import Line, most_in_a_second, named
from times import emptied, now

from orange_sms_async import (
    MessageExpired,
    OutcomeUnknown,
    Priority,
    RequestRejected,
    SendQueue,
    Throttled,
    TokenExpired,
)
from orange_sms_async.outbox import Entry
from orange_sms_async.outbox.sqlite import SqliteOutbox
from orange_sms_async.outcomes import State


class TestOpening:
    async def test_what_was_on_the_wire_is_unknown_and_not_sent_again(self, path):
        """
        A crash between the request and its answer is reported, in the list and to the callback.
        """
        told, crashed, other = [], Peeking(path), Line()
        async with SendQueue(crashed, outbox=SqliteOutbox(path)) as queue:
            await queue.send(named("a"))
        async with SendQueue(
            other, outbox=SqliteOutbox(crashed.crashes[0]), on_outcome=told.append
        ) as queue:
            [recovered] = queue.recovered

        assert ("a", State.UNKNOWN) == (recovered.reference, recovered.state)
        assert isinstance(recovered.error, OutcomeUnknown)
        assert [recovered] == told
        assert [] == other.left

    async def test_what_waits_goes_on_by_itself(self, line, opened, path):
        """
        Nobody has to submit again what an earlier process admitted.
        """
        await leave(path, *(Entry(named(text), Priority.NORMAL) for text in "abc"))
        async with opened() as queue:
            await emptied(queue)

            assert ["a", "b", "c"] == line.texts
            assert {"sent"} == set((await outcomes(queue)).values())
            assert [] == queue.recovered
            await queue.aclose()

    async def test_closing_sends_what_an_earlier_process_left(self, line, opened, path):
        """
        Open and close: that sends what waits.
        """
        await leave(path, *(Entry(named(text), Priority.NORMAL) for text in "abc"))
        async with opened() as queue:
            await queue.aclose()

        assert ["a", "b", "c"] == line.accepted

    async def test_what_expired_meanwhile_is_not_sent(self, line, opened, path):
        """
        Expiry comes before sending, and is reported.
        """
        await leave(
            path,
            Entry(named("late"), Priority.URGENT, expires_at=5.0),
            Entry(named("later"), Priority.URGENT, not_before=2.0, expires_at=5.0),
            Entry(named("valid"), Priority.NORMAL, expires_at=time.time() + 100),
        )
        told = []
        async with opened(on_outcome=told.append) as queue:
            found = {outcome.reference: outcome.state for outcome in queue.recovered}
            with pytest.raises(MessageExpired):
                await (await queue.submit(named("late")))
            await queue.aclose()

        assert {"late": State.EXPIRED, "later": State.EXPIRED} == found
        assert ["valid"] == line.texts
        assert ["late", "later", "valid"] == [outcome.reference for outcome in told]

    async def test_order_and_lanes_survive(self, line, opened, path):
        """
        Urgent before normal before bulk, each in the order it was submitted.
        """
        lanes = {"u": Priority.URGENT, "n": Priority.NORMAL, "b": Priority.BULK}
        texts = ("n1", "b1", "u1", "n2", "b2", "u2")
        await leave(path, *(Entry(named(text), lanes[text[0]]) for text in texts))
        async with opened() as queue:
            waiting = queue.statistics().waiting
            await queue.aclose()

        assert {Priority.URGENT: 2, Priority.NORMAL: 2, Priority.BULK: 2} == waiting
        assert ["u1", "u2", "n1", "n2", "b1", "b2"] == line.texts

    async def test_not_before_survives(self, line, opened, path):
        """
        What was for later is for later still.
        """
        due = time.time() + 40
        await leave(
            path,
            Entry(named("b"), Priority.URGENT, not_before=due + 10),
            Entry(named("a"), Priority.NORMAL, not_before=due),
        )
        start = now()
        async with opened() as queue:
            await queue.aclose()

        assert ["a", "b"] == line.texts
        assert [40, 50] == pytest.approx([time - start for time in line.times], abs=2)

    async def test_everything_about_a_message_survives(self, path):
        """
        What leaves is what was submitted.
        """
        whole = named(
            "Ça va ? 😀", sender_name="MonService", sender_address="tel:+2250000", on_net=True
        )
        await leave(path, Entry(whole, Priority.NORMAL), Entry(named("plain"), Priority.BULK))
        outbox = SqliteOutbox(path)
        await begin(outbox, 0.0, MONTH)
        taken = [(await outbox.claim(0.0)).message for _ in range(2)]
        await outbox.aclose()

        assert whole == taken[0]
        assert named("plain").sender_address == taken[1].sender_address
        assert (None, False) == (taken[1].sender_name, taken[1].on_net)

    async def test_what_is_read_back_is_not_checked_again(self, line, opened, path):
        """
        Rules grow: what was right when it was admitted goes to Orange, which decides.
        """
        await leave(path, Entry(named("a"), Priority.NORMAL), Entry(named("b"), Priority.NORMAL))
        with contextlib.closing(sqlite3.connect(path)) as db, db:
            db.execute("UPDATE message SET recipient = '+0', sender_name = 'Much too long a name'")
        line.answers.append(RequestRejected())
        async with opened() as queue:
            await queue.aclose()

        assert {"a": "failed", "b": "sent"} == on_disk(path)

    async def test_one_outbox_is_opened_again_and_again(self, line, path):
        """
        Closed is not used up: the same object serves the next queue.
        """
        outbox = SqliteOutbox(path)
        for text in "ab":
            async with SendQueue(line, outbox=outbox) as queue:
                await queue.send(named(text))

        assert {"a": "sent", "b": "sent"} == on_disk(path)

    async def test_a_drained_block_is_left_at_once(self, opened):
        """
        An outbox with nothing but history is idle.
        """
        async with opened() as queue:
            await queue.send(named("a"))
        start = now()
        async with opened() as queue:
            await queue.join()

        assert 1 > now() - start


async def test_a_process_minds_what_the_one_before_it_has_sent(opened, line):
    """
    Begun again at once, both together send at most five in any second.
    """
    for turn in "ab":
        async with opened(rate=5) as queue:
            await asyncio.gather(*(queue.send(named(f"{turn}{n}")) for n in range(5)))

    assert 10 == len(line.accepted)
    assert 5 == most_in_a_second(line.times)


@pytest.mark.parametrize(
    ("left", "wait"),
    [
        ("message SET state = 'sending', finished_at = NULL", 1.0),
        ("opening SET ended = 0, left_at = left_at - 3600", 1.0),
        ("opening SET left_at = left_at + 3600", 1.0),
        ("opening SET left_at = left_at - 3600", 0.0),
    ],
    ids=["on the wire", "killed", "before the clock was put back", "long ago"],
)
async def test_an_outbox_opened_waits_for_what_may_have_left_just_now(
    opened, line, path, left, wait
):
    """
    What a killed process was sending is younger than any second; an hour is not.
    """
    async with opened() as queue:
        await queue.send(named("once"))
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute(f"UPDATE {left}")
    start = asyncio.get_running_loop().time()
    async with opened(rate=5) as queue:
        await queue.send(named("again"))

    assert wait == pytest.approx(line.times[-1] - start, abs=0.05)


@pytest.mark.parametrize("answer", [Throttled(), TokenExpired()])
async def test_what_was_put_back_has_left_all_the_same(line, path, answer):
    """
    Orange counts what it refuses with 429 or 401; the next process minds it as well.
    """
    line.answers.append(answer)
    async with SendQueue(line, outbox=SqliteOutbox(path)) as queue:
        await queue.submit(named("a"))
        await asyncio.sleep(0.1)
    again = SqliteOutbox(path)
    await begin(again, time.time(), MONTH)
    await again.aclose()

    assert {"a": "queued"} == on_disk(path)
    assert again.sent_lately


async def test_who_looks_after_a_kill_does_not_end_the_silence(outbox, path):
    """
    A person who lists what a killed process left is not the process that follows it.
    """
    await begin(outbox, 1e9, MONTH)
    killed = crash(path)
    await outbox.aclose()
    found = []
    for moment in (1e9, 1e9 + 0.5, 1e9 + 2):
        outbox = SqliteOutbox(killed)
        await begin(outbox, moment, MONTH)
        found.append(outbox.sent_lately)
        await outbox.aclose()

    assert [True, True, False] == found
