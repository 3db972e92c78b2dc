"""The outcomes that the file keeps: which are told, and for how long."""

import asyncio
import contextlib
import sqlite3
import time
from datetime import timedelta

import pytest
from disk import DAY, SCHEMA, begin, leave, on_disk, outcomes
from line import named
from receipt import receipt
from times import later, pass_at_once

from orange_sms_async import OutcomeUnknown, Priority, RequestRejected, ResourceId
from orange_sms_async.errors import OutboxUnusable
from orange_sms_async.outbox import Entry
from orange_sms_async.outbox.sqlite import SqliteOutbox, statements
from orange_sms_async.outcomes import Outcome, State


class TestOutcomes:
    async def test_outcomes_are_told_of_all_or_of_one_state(self, line, opened):
        """
        In the order they were submitted, over restarts.
        """
        line.answers.extend([None, RequestRejected(), OutcomeUnknown()])
        async with opened() as queue:
            for text in "abc":
                await queue.submit(named(text))
            await queue.join()
        async with opened() as queue:
            await queue.submit(named("d"), not_before=later(queue, 60))

            assert ["sent", "failed", "unknown", "scheduled"] == [*(await outcomes(queue)).values()]
            assert ["b"] == [*await outcomes(queue, State.FAILED)]
            assert [] == [*await outcomes(queue, State.WITHDRAWN)]
            await queue.aclose(drain=False)

    async def test_more_outcomes_than_one_page(self, opened, path):
        """
        A long list is read in pieces, while the queue goes on.
        """
        due = time.time() + 600
        entries = (Entry(named(str(n)), Priority.BULK, not_before=due) for n in range(1_201))
        await leave(path, *entries)
        async with opened() as queue:
            seen = []
            async for outcome in queue.outcomes(State.SCHEDULED):
                seen.append(outcome.reference)
                if len(seen) == 600:
                    await queue.withdraw("1200")

            assert [str(n) for n in range(1_200)] == seen
            await queue.aclose(drain=False)

    async def test_what_is_not_known(self, opened):
        """
        No outcome, nothing to withdraw, nothing to resolve.
        """
        async with opened() as queue:
            with pytest.raises(KeyError):
                await queue.outcome("?")

            assert not await queue.withdraw("?")
            assert not await queue.resolve("?", sent=None)

    async def test_withdraw_what_an_earlier_process_left(self, line, opened, path):
        """
        What waits can be taken back by whoever has the file.
        """
        due = time.time() + 600
        await leave(
            path,
            Entry(named("a"), Priority.NORMAL, not_before=due),
            Entry(named("b"), Priority.NORMAL),
        )
        async with opened() as queue:
            assert await queue.withdraw("a")
            assert not await queue.withdraw("a")
            await queue.join()
            assert not await queue.withdraw("b")

            assert {"a": "withdrawn", "b": "sent"} == on_disk(path)
        assert ["b"] == line.texts

    async def test_who_gives_up_withdrawing_leaves_no_trace(self, line, opened):
        """
        Cancelled in the middle of a commit, it is withdrawn or it is not; the queue knows which.
        """
        async with opened() as queue:
            future = await queue.submit(named("a"), not_before=later(queue, 60))
            withdrawing = asyncio.create_task(queue.withdraw("a"))
            await asyncio.sleep(0)
            withdrawing.cancel()
            async with asyncio.timeout(100):
                await queue.join()

        assert future.done()
        assert 0 == queue.statistics().waiting[Priority.NORMAL]

    async def test_asked_when_the_queue_is_closed(self, opened):
        """
        The file is let go of: that is said, nobody waits for ever.
        """
        async with opened() as queue:
            await queue.send(named("a"))
        async with asyncio.timeout(10):
            with pytest.raises(OutboxUnusable, match=r"outbox\.db"):
                await queue.outcome("a")
            with pytest.raises(OutboxUnusable):
                await outcomes(queue)
            with pytest.raises(OutboxUnusable):
                await queue.withdraw("a")


class TestRetention:
    async def test_old_outcomes_go(self, line, opened):
        """
        The file does not grow for ever: after the retention time a reference is new again.
        """
        async with opened(retention=timedelta(days=2)) as queue:
            for text in "abc":
                await queue.send(named(text))
                await pass_at_once(DAY + 1)
            assert ["a", "b", "c"] == [*await outcomes(queue)]
            await queue.send(named("d"))

            assert ["b", "c", "d"] == [*await outcomes(queue)]
            with pytest.raises(KeyError):
                await queue.outcome("a")
            await queue.send(named("a"))
        assert ["a", "b", "c", "d", "a"] == line.texts

    async def test_what_is_unknown_or_waits_stays(self, line, opened):
        """
        However old: nobody has said yet what became of it.
        """
        line.answers.append(OutcomeUnknown())
        async with opened(retention=timedelta(seconds=1)) as queue:
            await queue.submit(named("unknown"))
            await queue.submit(named("waits"), not_before=later(queue, 10 * DAY))
            for text in "abc":
                await pass_at_once(DAY + 1)
                await queue.send(named(text))

            kept = await outcomes(queue)
            await queue.aclose(drain=False)
        assert {"unknown", "waits", "b", "c"} == kept.keys()

    async def test_many_old_ones_go_faster_than_new_ones_come(self, path):
        """
        Ten with each outcome: the file shrinks while it is used.
        """
        await leave(path, *(Entry(named(str(n)), Priority.NORMAL) for n in range(46)))
        outbox = SqliteOutbox(path)
        await begin(outbox, 0.0, timedelta(seconds=10))
        left = []
        for moment in (*[1.0] * 40, DAY + 2, *[2 * DAY + 3] * 5):
            claim = await outbox.claim(moment)
            assert claim
            sent = Outcome(claim.reference, State.SENT, ResourceId("id"))
            await outbox.settle(claim, sent, moment)
            left.append(len(on_disk(path)))
        await outbox.aclose()

        assert [36, 26, 16, 6, 6] == left[-5:]

    async def test_a_start_with_a_clock_forty_days_ahead_forgets_nothing(self, path):
        """
        What is past is told by what the file has seen, and not by one reading of the clock.
        """
        await leave(path, *(Entry(named(str(n)), Priority.NORMAL) for n in range(45)))
        for start in (0.0, 40 * DAY, DAY):
            outbox = SqliteOutbox(path)
            await begin(outbox, start, timedelta(days=30))
            for number in range(15):
                claim = await outbox.claim(moment := start + number)
                assert claim
                sent = Outcome(claim.reference, State.SENT, ResourceId(claim.reference))
                await outbox.settle(claim, sent, moment)
                await outbox.keep(receipt(claim.reference), moment)
            await outbox.aclose()

        assert 45 == len(on_disk(path))
        with contextlib.closing(sqlite3.connect(path)) as db:
            assert (45,) == db.execute("SELECT count(*) FROM receipt").fetchone()


def test_old_unknown_messages_cost_an_outcome_nothing():
    """
    They stay until somebody settles them, and are not walked over with each outcome.
    """
    db = sqlite3.connect(":memory:")
    db.executescript(SCHEMA)
    db.executemany(
        "INSERT INTO message (reference, state, priority, not_before, expires_at, on_unknown, "
        "recipient, text, on_net, finished_at) "
        "VALUES (?, 'unknown', 1, 0, 9e999, 'report', '+2250701020304', 'a', 0, 1.0)",
        [(f"{number}",) for number in range(20_000)],
    )
    steps = []
    db.set_progress_handler(lambda: steps.append(1), 100)
    statements.forget_old(db, 100_000.0, 1_000.0)

    assert 10 > len(steps)
    db.close()


async def test_since_when_the_oldest_waits(path):
    """
    What may not leave yet is not late, and what may waits from then on, also if put without a loop.
    """
    outbox, now = SqliteOutbox(path), time.time()
    await outbox.open(now, timedelta.max)
    alone = await outbox.oldest(now)
    await outbox.add(Entry(named("later"), Priority.NORMAL, not_before=now + 600))
    not_yet = await outbox.oldest(now + 599)
    outbox.put(named("now"))
    both = await outbox.oldest(time.time())
    await outbox.withdraw(Outcome("now", State.WITHDRAWN), now)
    late = await outbox.oldest(now + 700)
    await outbox.aclose()

    assert alone is not_yet is None
    assert both is not None
    assert now <= both <= time.time()
    assert late == now + 600
