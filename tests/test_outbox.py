"""The durable outbox: what was admitted is in a file, and the file tells the truth."""

import asyncio
import contextlib
import gc
import logging
import math
import os
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from line import Line, most_in_a_second, sms

from orange_sms_async import (
    AuthenticationFailed,
    ConnectionFailed,
    ContractRefused,
    InvalidMessage,
    MessageExpired,
    MessageWithdrawn,
    OutcomeUnknown,
    Priority,
    QueueClosed,
    QueueFull,
    Refused,
    RequestRejected,
    ResourceId,
    SendQueue,
    ServiceUnavailable,
)
from orange_sms_async.errors import OutboxUnusable
from orange_sms_async.outbox import Entry
from orange_sms_async.outbox.memory import MemoryOutbox
from orange_sms_async.outbox.sqlite import SqliteOutbox
from orange_sms_async.outcomes import Outcome, State

MONTH = timedelta(days=30)
DAY = 86_400.0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "outbox.db"


@pytest.fixture
def line():
    return Line()


@pytest.fixture
def opened(line, path):
    """A queue on the file, as often as the test opens one."""

    def queue(rate: float | None = None, **settings):
        line_ = line if rate is None else line.paced(rate)
        return SendQueue(line_, outbox=SqliteOutbox(path), **settings)

    return queue


def named(text: str, **options: object):
    """A message whose reference is its text."""
    return sms(text, reference=text, **options)


def later(queue: SendQueue, seconds: float) -> datetime:
    return datetime.fromtimestamp(queue._now() + seconds, UTC)


def now():
    return asyncio.get_running_loop().time()


def crash(path: Path) -> Path:
    """Return a copy of the file as a process killed now would leave it."""
    folder = Path(tempfile.mkdtemp(dir=path.parent))
    for file in path.parent.glob(f"{path.name}*"):
        shutil.copy(file, folder)
    return folder / path.name


def on_disk(path: Path) -> dict[str, str]:
    """The state of each message, were the process killed now."""
    with contextlib.closing(sqlite3.connect(crash(path))) as db:
        return dict(db.execute("SELECT reference, state FROM message ORDER BY id"))


async def leave(path: Path, *entries: Entry) -> None:
    """Leave messages in the file, as an earlier process would."""
    outbox = SqliteOutbox(path)
    await outbox.open(0.0, MONTH)
    for entry in entries:
        await outbox.add(entry)
    await outbox.aclose()


async def outcomes(queue: SendQueue, state: State | None = None) -> dict[str, State]:
    return {outcome.reference: outcome.state async for outcome in queue.outcomes(state)}


class Peeking(Line):
    """Copies the file whenever a message leaves, as if the process were killed right then."""

    def __init__(self, path: Path, **settings: float) -> None:
        super().__init__(**settings)
        self.path, self.crashes = path, []

    async def attempt(self, message):
        self.crashes.append(crash(self.path))
        return await super().attempt(message)


class Opaque(Line):
    """Gives resource ids that say nothing of the text, as Orange does."""

    async def attempt(self, message):
        return attrs.evolve(await super().attempt(message), resource_id=ResourceId("opaque"))


class TestCommitted:
    async def test_what_submit_returned_is_on_disk(self, opened, path):
        """
        The await of submit is the commit.
        """
        async with opened() as queue:
            await queue.submit(named("a"), not_before=later(queue, 60))

            assert {"a": "scheduled"} == on_disk(path)
            await queue.aclose(drain=False)

    async def test_sending_is_on_disk_before_the_request_leaves(self, path):
        """
        Whatever happens on the wire, the file says that something may have left.
        """
        line = Peeking(path)
        async with SendQueue(line, outbox=SqliteOutbox(path)) as queue:
            await queue.send(named("a"))

        assert [{"a": "sending"}] == [on_disk(copy) for copy in line.crashes]

    async def test_the_outcome_is_on_disk_before_the_future_has_it(self, opened, path):
        """
        What a future said is still so after a crash.
        """
        seen = []
        async with opened() as queue:
            future = await queue.submit(named("a"))
            future.add_done_callback(lambda _: seen.append(on_disk(path)))
            await future

        assert [{"a": "sent"}] == seen

    async def test_the_outcome_is_on_disk_before_it_is_told(self, line, opened, path):
        """
        A callback may act on it: a crash does not make it untrue.
        """
        seen = []
        line.answers.append(RequestRejected())
        async with opened(on_outcome=lambda _: seen.append(on_disk(path))) as queue:
            await queue.submit(named("a"))

        assert [{"a": "failed"}] == seen

    async def test_what_was_asked_for_is_done_before_the_file_closes(self, path):
        """
        A queue that stops in the same instant finds it on disk, waiting, and no error.
        """
        outbox = SqliteOutbox(path)
        await outbox.open(0.0, MONTH)
        keeping = outbox.add(Entry(named("a"), Priority.NORMAL))
        await outbox.aclose()

        assert await keeping is None
        assert {"a": "queued"} == on_disk(path)

    async def test_many_producers_share_a_commit(self, opened):
        """
        A hundred submitted together wait for a few fsyncs, not for a hundred.
        """
        async with opened() as queue:
            statements = []
            queue._outbox._file.connection.set_trace_callback(statements.append)
            due = later(queue, 60)
            await asyncio.gather(*(queue.submit(named(str(n)), not_before=due) for n in range(100)))

            assert 10 > statements.count("COMMIT")
            assert 100 == queue.statistics().waiting[Priority.NORMAL]
            await queue.aclose(drain=False)

    async def test_every_commit_reaches_the_disk(self, opened):
        """
        A write-ahead log synchronised at each commit, and one owner.
        """
        async with opened() as queue:
            pragma = {
                name: queue._outbox._file.connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("journal_mode", "synchronous", "locking_mode")
            }

        assert {"journal_mode": "wal", "synchronous": 2, "locking_mode": "exclusive"} == pragma

    async def test_submit_nowait_returns_before_and_its_future_after(self, line, opened, path):
        """
        It cannot wait for the disk; the future does.
        """
        async with opened() as queue:
            future = queue.submit_nowait(named("a"))
            assert {} == on_disk(path)

            assert "id-a" == await future
            assert {"a": "sent"} == on_disk(path)


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
            await queue.join()

            assert ["a", "b", "c"] == line.texts
            assert {"sent"} == set((await outcomes(queue)).values())
            assert [] == queue.recovered

    async def test_leaving_the_block_drains_what_an_earlier_process_left(self, line, opened, path):
        """
        Open and leave: that sends what waits.
        """
        await leave(path, *(Entry(named(text), Priority.NORMAL) for text in "abc"))
        async with opened():
            pass

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
        async with opened():
            pass

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
        await outbox.open(0.0, MONTH)
        taken = [(await outbox.take(0.0)).message for _ in range(2)]
        await outbox.aclose()

        assert whole == taken[0]
        assert named("plain").sender_address == taken[1].sender_address
        assert (None, False) == (taken[1].sender_name, taken[1].on_net)

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


ERRORS = [
    (RequestRejected("no", status_code=400, code="SVC0002", request_id="r-1"), State.FAILED),
    (ContractRefused("no", status_code=403, code="POL0001", request_id="r-2"), State.FAILED),
    (OutcomeUnknown("well", status_code=500, code=1, request_id="r-3"), State.UNKNOWN),
    (OutcomeUnknown("well"), State.UNKNOWN),
]


class TestReferences:
    async def test_submitted_again_while_it_waits_or_is_on_the_wire(self, line, opened):
        """
        One reference is one message, wherever it is on its way.
        """
        line.delay = 1.0
        async with opened() as queue:
            first = await queue.submit(named("a"))
            second = await queue.submit(named("a"))
            await asyncio.sleep(0.5)
            assert State.SENDING is (await queue.outcome("a")).state

            third = await queue.submit(named("a"))
            assert ["id-a"] * 3 == await asyncio.gather(first, second, third)
        assert ["a"] == line.texts

    @pytest.mark.parametrize("again", ["same queue", "restarted"])
    async def test_submitted_again_when_it_was_sent(self, line, opened, again):
        """
        Its resource id comes at once, and nothing leaves.
        """
        async with opened() as queue:
            await queue.send(named("a"))
            if again == "same queue":
                assert "id-a" == (await queue.submit(named("a"))).result()
        async with opened() as queue:
            assert "id-a" == (await queue.submit(named("a"))).result()
            assert "id-a" == await queue.submit_nowait(named("a"))

        assert ["a"] == line.texts

    @pytest.mark.parametrize(("error", "state"), ERRORS)
    @pytest.mark.parametrize("again", ["same queue", "restarted"])
    async def test_submitted_again_when_it_failed(self, line, opened, error, state, again):
        """
        What became of it is raised again, with what Orange's support asks for.
        """
        line.answers.append(error)
        async with contextlib.AsyncExitStack() as stack:
            queue = await stack.enter_async_context(opened())
            await queue.submit(named("a"))
            await queue.join()
            if again == "restarted":
                await queue.aclose()
                queue = await stack.enter_async_context(opened())
            raised = (await queue.submit(named("a"))).exception()
            outcome = await queue.outcome("a")

        assert (type(error), str(error)) == (type(raised), str(raised))
        assert state is outcome.state
        for name in ("status_code", "code", "request_id"):
            assert getattr(error, name) == getattr(raised, name)
        assert ["a"] == line.texts

    async def test_why_a_contract_was_refused_is_remembered(self, line, opened):
        """
        The errors' own attributes come back, too.
        """
        refused, unread = ContractRefused("no"), OutcomeUnknown("unreadable")
        refused.reason, unread.accepted = "Expired contract", True
        line.answers.extend([refused, unread])
        async with opened() as queue:
            await queue.submit(named("a"))
            await queue.submit(named("b"))
        async with opened() as queue:
            assert "Expired contract" == (await queue.outcome("a")).error.reason
            assert (await queue.outcome("b")).error.accepted

    async def test_an_error_of_somebodys_own_class(self, line, opened):
        """
        It comes back as the nearest of ours.
        """

        class Blacklisted(Refused):
            pass

        line.answers.append(Blacklisted("no"))
        async with opened() as queue:
            await queue.submit(named("a"))
        async with asyncio.timeout(60), opened() as queue:
            raised = (await queue.submit(named("a"))).exception()

        assert (Refused, "no") == (type(raised), str(raised))

    @pytest.mark.parametrize("state", [State.EXPIRED, State.WITHDRAWN])
    async def test_submitted_again_when_it_never_left(self, line, opened, state):
        """
        Expired and withdrawn are outcomes like any other, kept like any other.
        """
        async with opened() as queue:
            if state is State.EXPIRED:
                await queue.submit(named("a"), expires_at=later(queue, -1))
            else:
                await queue.submit(named("a"), not_before=later(queue, 60))
                assert await queue.withdraw("a")
        async with opened() as queue:
            raised = (await queue.submit(named("a"))).exception()
            assert state is (await queue.outcome("a")).state

        expected = {State.EXPIRED: MessageExpired, State.WITHDRAWN: MessageWithdrawn}[state]
        assert expected is type(raised)
        assert [] == line.left

    async def test_submitted_again_to_the_queue_that_goes_on_with_it(self, line, opened, path):
        """
        A restarted campaign submits its list again, and watches what waits or is on the wire.
        """
        line.delay = 1.0
        await leave(path, *(Entry(named(text), Priority.NORMAL) for text in "ab"))
        async with opened() as queue:
            await asyncio.sleep(0.1)
            assert State.SENDING is (await queue.outcome("a")).state
            futures = [await queue.submit(named(text)) for text in "ab"]

            assert ["id-a", "id-b"] == await asyncio.gather(*futures)
        assert ["a", "b"] == line.texts

    async def test_on_the_wire_for_an_earlier_submit_and_then_closed(self, line, opened, path):
        """
        Its answer is waited for: it is not called unsent because this queue did not submit it.
        """
        line.delay = 1.0
        await leave(path, Entry(named("a"), Priority.NORMAL))
        async with opened() as queue:
            await asyncio.sleep(0.1)
            future = await queue.submit(named("a"))
            await queue.aclose(drain=False)

        assert "id-a" == future.result()

    async def test_submitted_in_the_instant_it_is_taken_and_then_closed(self, path):
        """
        Found waiting, and on the wire when that is heard: its answer is waited for all the same.
        """
        futures = []

        class Submitting(Line):
            async def ready(self):
                futures.append(queue.submit_nowait(named("a")))

        await leave(path, Entry(named("a"), Priority.NORMAL))
        queue = SendQueue(Submitting(delay=1.0).paced(math.inf), outbox=SqliteOutbox(path))
        async with queue:
            await asyncio.sleep(0.1)
            await queue.aclose(drain=False)

        assert ["id-a"] == [future.result() for future in futures]

    @pytest.mark.parametrize("when", ["waiting", "finished", "restarted"])
    @pytest.mark.parametrize("other", [{"text": "autre"}, {"to": "+221770001122"}])
    async def test_with_another_number_or_text(self, opened, when, other):
        """
        A reference that means two messages is a mistake, found before it is made.
        """
        message = {"to": "+2250701020304", "text": "a"} | other
        changed = type(sms())(message["to"], message["text"], reference="a")
        async with contextlib.AsyncExitStack() as stack:
            queue = await stack.enter_async_context(opened())
            due = later(queue, 60) if when == "waiting" else None
            await queue.submit(named("a"), not_before=due)
            if when != "waiting":
                await queue.join()
            if when == "restarted":
                await queue.aclose()
                queue = await stack.enter_async_context(opened())
            with pytest.raises(InvalidMessage, match="reference"):
                await queue.submit(changed)

            assert {"a"} == (await outcomes(queue)).keys()
            await queue.aclose(drain=False)

    async def test_what_is_known_takes_no_place(self, opened, path):
        """
        A list submitted again does not fill the lane.
        """
        await leave(path, Entry(named("x"), Priority.NORMAL, not_before=time.time() + 600))
        async with opened(capacity=1) as queue:
            await queue.send(named("a"))
            for text in "axaxax":
                await asyncio.wait_for(queue.submit(named(text)), 1)
            queue.submit_nowait(named("y"), not_before=later(queue, 60))
            with pytest.raises(QueueFull):
                queue.submit_nowait(named("z"))
            await queue.aclose(drain=False)

    @pytest.mark.parametrize("reference", ["\ud800", "nul\0nul", "x" * 100_000, "' OR 1=1 --"])
    async def test_references_nobody_would_choose(self, opened, reference):
        """
        One that the file cannot hold is refused alone; nobody else's message is held up.
        """
        async with asyncio.timeout(60), opened() as queue:
            with contextlib.suppress(InvalidMessage, OutboxUnusable):
                assert "id-odd" == await queue.send(sms("odd", reference=reference))
                assert State.SENT is (await queue.outcome(reference)).state

            assert "id-a" == await queue.send(named("a"))


class OddError(RequestRejected):
    """Carries what no file can hold, and what none should."""

    def __init__(self, message):
        super().__init__(message)
        self.ring = {(1, 2): self}
        self.number = "+2250701020304"


class TestOddAnswers:
    async def test_an_error_with_odd_luggage(self, line, opened, path):
        """
        Its words are kept, what else it carries is not: neither the queue nor the file minds.
        """
        line.answers.append(OddError("no"))
        async with asyncio.timeout(60), opened() as queue:
            with pytest.raises(OddError):
                await queue.send(sms("a", reference="a"))
            assert "id-b" == await queue.send(named("b"))
            await queue._outbox.forget()

            assert (RequestRejected, "no") == (
                type((await queue.outcome("a")).error),
                str((await queue.outcome("a")).error),
            )
            files = [file.read_bytes() for file in path.parent.glob(f"{path.name}*")]
            assert not [content for content in files if b"701020304" in content]

    async def test_words_no_file_can_hold(self, line, opened):
        """
        Half a character in an answer does not stop the queue.
        """
        line.answers.append(RequestRejected("half a character: \ud83d"))
        async with asyncio.timeout(60), opened() as queue:
            with pytest.raises(RequestRejected):
                await queue.send(named("a"))

            assert State.FAILED is (await queue.outcome("a")).state
            assert "id-b" == await queue.send(named("b"))

    async def test_a_resource_id_no_file_can_hold(self, path):
        """
        It was taken: that is kept, whatever the id looks like.
        """

        class Odd(Line):
            async def attempt(self, message):
                sent = await super().attempt(message)
                return attrs.evolve(sent, resource_id=ResourceId("half: \ud83d"))

        async with asyncio.timeout(60), SendQueue(Odd(), outbox=SqliteOutbox(path)) as queue:
            for text in "ab":
                await queue.send(named(text))

            assert {"sent"} == set((await outcomes(queue)).values())


class TestRetention:
    async def test_old_outcomes_go(self, line, opened):
        """
        The file does not grow for ever: after the retention time a reference is new again.
        """
        async with opened(retention=timedelta(days=2)) as queue:
            await queue.send(named("a"))
            await asyncio.sleep(DAY)
            await queue.send(named("b"))
            assert ["a", "b"] == [*await outcomes(queue)]
            await asyncio.sleep(DAY + 1)
            await queue.send(named("c"))

            assert ["b", "c"] == [*await outcomes(queue)]
            with pytest.raises(KeyError):
                await queue.outcome("a")
            await queue.send(named("a"))
        assert ["a", "b", "c", "a"] == line.texts

    async def test_what_is_unknown_or_waits_stays(self, line, opened):
        """
        However old: nobody has said yet what became of it.
        """
        line.answers.append(OutcomeUnknown())
        async with opened(retention=timedelta(seconds=1)) as queue:
            await queue.submit(named("unknown"))
            await queue.submit(named("waits"), not_before=later(queue, 10 * DAY))
            for text in "abc":
                await asyncio.sleep(DAY + 1)
                await queue.send(named(text))

            kept = await outcomes(queue)
            await queue.aclose(drain=False)
        assert {"unknown", "waits", "c"} == kept.keys()

    async def test_many_old_ones_go_faster_than_new_ones_come(self, path):
        """
        Ten with each outcome: the file shrinks while it is used.
        """
        await leave(path, *(Entry(named(str(n)), Priority.NORMAL) for n in range(45)))
        outbox = SqliteOutbox(path)
        await outbox.open(0.0, timedelta(seconds=10))
        left = []
        for moment in (*[1.0] * 40, *[DAY + 2] * 5):
            taken = (await outbox.take(moment)).message.reference
            await outbox.settle(Outcome(taken, State.SENT, ResourceId("id")), moment)
            left.append(len(on_disk(path)))
        await outbox.aclose()

        assert [35, 25, 15, 5, 5] == left[-5:]


class TestOutcomes:
    async def test_outcomes_are_told_of_all_or_of_one_state(self, line, opened):
        """
        In the order they were submitted, over restarts.
        """
        line.answers.extend([None, RequestRejected(), OutcomeUnknown()])
        async with opened() as queue:
            for text in "abc":
                await queue.submit(named(text))
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


class TestUnknown:
    async def test_resolved_as_sent(self, line, opened):
        """
        Who found it in Orange's books says so, and every asker hears it.
        """
        line.answers.append(OutcomeUnknown())
        async with opened() as queue:
            await queue.submit(named("a"))
            await queue.join()
            assert await queue.resolve("a", sent=ResourceId("found"))
            assert not await queue.resolve("a", sent=None)
        async with opened() as queue:
            outcome = await queue.outcome("a")

            assert (State.SENT, "found", None) == (
                outcome.state,
                outcome.resource_id,
                outcome.error,
            )
            assert "found" == await queue.send(named("a"))
        assert ["a"] == line.texts

    @pytest.mark.parametrize("when", ["same queue", "restarted"])
    async def test_resolved_as_not_sent(self, line, opened, when):
        """
        It waits again, in its old place, and is sent.
        """
        line.answers.append(OutcomeUnknown())
        async with contextlib.AsyncExitStack() as stack:
            queue = await stack.enter_async_context(opened())
            await queue.submit(named("a"))
            await queue.join()
            if when == "restarted":
                await queue.aclose()
                queue = await stack.enter_async_context(opened())
            assert await queue.resolve("a", sent=None)

            assert "id-a" == await queue.send(named("a"))
            assert None is (await queue.outcome("a")).error
        assert ["a", "a"] == line.texts

    @pytest.mark.parametrize("state", ["sent", "failed", "scheduled"])
    async def test_only_what_is_unknown_is_resolved(self, line, opened, state):
        """
        A person cannot overrule what is certain.
        """
        line.answers.extend([RequestRejected()] if state == "failed" else [])
        async with opened() as queue:
            due = later(queue, 60) if state == "scheduled" else None
            future = await queue.submit(named("a"), not_before=due)
            if due is None:
                await asyncio.wait({future})

            assert not await queue.resolve("a", sent=ResourceId("x"))
            assert not await queue.resolve("a", sent=None)
            assert state == (await queue.outcome("a")).state
            await queue.aclose(drain=False)

    async def test_sent_once_more_for_who_prefers_two_to_none(self, line, opened):
        """
        An unknown outcome is followed by one more attempt.
        """
        line.answers.append(OutcomeUnknown())
        async with opened() as queue:
            assert "id-a" == await queue.send(named("a"), on_unknown="resend")

        assert ["a", "a"] == line.texts
        assert line.times[1] - line.times[0] >= 0.2

    async def test_and_never_more_than_once(self, line, opened):
        """
        Unknown twice is unknown, also when it was not taken in between.
        """
        line.answers.extend([OutcomeUnknown(), ServiceUnavailable(), OutcomeUnknown()])
        async with opened() as queue:
            with pytest.raises(OutcomeUnknown):
                await queue.send(named("a"), on_unknown="resend")

        assert ["a", "a", "a"] == line.texts

    async def test_sent_once_more_after_a_crash_and_not_after_the_next(self, path):
        """
        The one resend is counted in the file, before it leaves.
        """
        first, second, third = Peeking(path), Peeking(path), Line()
        async with SendQueue(first, outbox=SqliteOutbox(path)) as queue:
            await queue.send(named("a"), on_unknown="resend")
        second.path = first.crashes[0]
        async with SendQueue(second, outbox=SqliteOutbox(second.path)) as queue:
            assert [] == queue.recovered
            await queue.join()
        async with SendQueue(third, outbox=SqliteOutbox(second.crashes[0])) as queue:
            [recovered] = queue.recovered

        assert (["a"], []) == (second.texts, third.texts)
        assert State.UNKNOWN is recovered.state

    @pytest.mark.parametrize("end", ["expired", "withdrawn", "refused"])
    async def test_what_may_have_left_is_never_called_unsent(self, line, opened, end):
        """
        If the resend comes to nothing, the first attempt is still in doubt.
        """
        line.answers.extend([OutcomeUnknown(), ConnectionFailed(), RequestRejected()])
        async with opened() as queue:
            expiry = later(queue, 0.5) if end == "expired" else None
            future = await queue.submit(named("a"), on_unknown="resend", expires_at=expiry)
            await asyncio.sleep(0.3)  # once unknown, once not sent: it waits
            if end == "withdrawn":
                assert not await queue.withdraw("a")
            await asyncio.wait({future})

            assert State.UNKNOWN is (await queue.outcome("a")).state
        assert isinstance(future.exception(), OutcomeUnknown)

    async def test_what_may_have_left_before_a_crash_does_not_expire(self, path):
        """
        Wanted twice rather than never, too late for the second: unknown, not expired.
        """
        line = Peeking(path)
        await leave(path, Entry(named("a"), Priority.NORMAL, on_unknown="resend", expires_at=10.0))
        outbox = SqliteOutbox(path)
        await outbox.open(0.0, MONTH)
        await outbox.take(0.0)
        copy = crash(path)
        await outbox.aclose()
        async with SendQueue(line, outbox=SqliteOutbox(copy)) as queue:
            assert [State.UNKNOWN] == [outcome.state for outcome in queue.recovered]


class TestCancelling:
    @pytest.mark.parametrize("waiter", ["cancel", "wait_for"])
    async def test_a_cancelled_future_stops_the_watching_only(self, line, opened, waiter):
        """
        What is on disk is sent, and can be watched again.
        """
        async with opened() as queue:
            future = await queue.submit(named("a"), not_before=later(queue, 10))
            if waiter == "cancel":
                future.cancel()
            else:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(future, 1)
            assert State.SCHEDULED is (await queue.outcome("a")).state
            again = await queue.submit(named("a"))

            assert again is not future
            assert "id-a" == await again
        assert ["a"] == line.texts

    async def test_cancelled_and_never_watched_again(self, line, opened):
        """
        It is sent all the same, and told.
        """
        told = []
        async with opened(on_outcome=told.append) as queue:
            (await queue.submit(named("a"))).cancel()

        assert ["a"] == line.texts
        assert [State.SENT] == [outcome.state for outcome in told]

    async def test_a_submit_cancelled_while_it_is_written(self, line, opened):
        """
        It may be on disk: then it is sent, and submitting it again finds it.
        """
        async with opened() as queue:
            submitting = asyncio.create_task(queue.submit(named("a")))
            await asyncio.sleep(0)
            submitting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await submitting

            assert "id-a" == await queue.send(named("a"))
        assert ["a"] == line.texts

    # A loop that ends cancels workers that never began, and anyio has their coroutine already.
    @pytest.mark.filterwarnings("ignore:coroutine 'SendQueue._work' was never awaited")
    @pytest.mark.parametrize("after", [0.0, 0.001, 0.01, 0.05])
    def test_a_loop_that_ends_resolves_every_future(self, path, after):
        """
        Ctrl-C ends the loop's tasks, even in the middle of a commit: nothing hangs or is lost.
        """
        line, futures, admitted = Line(delay=5), [], []

        async def interrupted():
            queue = await SendQueue(line.paced(math.inf), outbox=SqliteOutbox(path)).__aenter__()
            futures.extend(queue.submit_nowait(named(f"nowait {n}")) for n in range(50))
            producers = [asyncio.create_task(submit(queue, str(n))) for n in range(50)]
            await asyncio.sleep(after)
            assert producers

        async def submit(queue, text):
            futures.append(await queue.submit(named(text)))
            admitted.append(text)

        running = threading.Thread(target=asyncio.run, args=(interrupted(),), daemon=True)
        running.start()
        running.join(20)
        gc.collect()

        assert not running.is_alive()
        assert {OutcomeUnknown, QueueClosed} >= {type(future.exception()) for future in futures}
        assert set(admitted) <= on_disk(path).keys()
        assert set(line.texts) <= {
            text for text, state in on_disk(path).items() if state in ("unknown", "sending")
        }


class TestForgetting:
    NUMBER, TEXT = b"2250701020304", b"confidentiel"

    def bytes_on_disk(self, path):
        return b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))

    async def test_numbers_and_texts_are_nowhere_in_the_file(self, path):
        """
        Neither in the tables nor in what the file no longer uses, nor beside it.
        """
        line, text = Opaque(), self.TEXT.decode()
        line.answers.extend([None, RequestRejected()])
        async with SendQueue(line, outbox=SqliteOutbox(path)) as queue:
            for n in range(40):
                await queue.submit(sms(text * 30, reference=f"long {n}", sender_name="MonService"))
                await queue.submit(sms(f"{text} {n}", reference=f"short {n}"))
            await queue.join()
            assert self.TEXT in self.bytes_on_disk(path)
            assert 80 == await queue._outbox.forget()

            for secret in (self.NUMBER, self.TEXT, b"MonService"):
                assert secret not in self.bytes_on_disk(path)
        for secret in (self.NUMBER, self.TEXT, b"MonService"):
            assert secret not in self.bytes_on_disk(path)

    async def test_what_retention_removes_is_removed(self, path):
        """
        No trace of its text stays in the pages that are free now.
        """
        settings = {"outbox": SqliteOutbox(path), "retention": timedelta(seconds=1)}
        async with SendQueue(Opaque(), **settings) as queue:
            for n in range(40):
                await queue.submit(sms(f"{self.TEXT.decode() * 30} {n}"))
            await queue.join()
            for n in range(10):
                await asyncio.sleep(DAY + 1)
                await queue.send(type(sms())("+221770001122", f"autre {n}"))

        assert self.TEXT not in self.bytes_on_disk(path)

    async def test_what_a_file_holds_does_not_depend_on_how_sqlite_was_built(self, opened):
        """
        Some builds leave deleted content in the file unless told otherwise.
        """
        async with opened() as queue:
            [(deletes,)] = queue._outbox._file.connection.execute("PRAGMA secure_delete").fetchall()

        assert 1 == deletes

    async def test_outcomes_stay_and_references_are_recognised(self, line, opened):
        """
        Sent stays sent: the same message is not sent again, another one is refused.
        """
        line.answers.extend([None, RequestRejected("no", request_id="r-1")])
        async with opened() as queue:
            for text in "ab":
                await queue.submit(named(text))
            await queue.join()
            await queue._outbox.forget()
            assert 0 == await queue._outbox.forget()
        async with opened() as queue:
            assert "id-a" == await queue.send(named("a"))
            with pytest.raises(InvalidMessage, match="reference"):
                await queue.submit(sms("autre", reference="a"))
            with pytest.raises(RequestRejected) as rejected:
                await queue.send(named("b"))

        assert "r-1" == rejected.value.request_id
        assert ["a", "b"] == line.texts

    async def test_what_waits_or_is_unknown_is_not_forgotten(self, line, opened):
        """
        It may have to be sent yet.
        """
        line.answers.append(OutcomeUnknown())
        async with opened() as queue:
            await queue.submit(named("unknown"))
            await queue.submit(named("waits"), not_before=later(queue, 60))
            await asyncio.sleep(1)
            assert 0 == await queue._outbox.forget()
            await queue.resolve("unknown", sent=None)

        assert ["unknown", "unknown", "waits"] == line.texts

    async def test_two_files_have_two_keys(self, tmp_path):
        """
        A hash of one file says nothing about another.
        """
        hashes = []
        for name in ("one", "two"):
            path = tmp_path / name
            async with SendQueue(Line(), outbox=SqliteOutbox(path)) as queue:
                await queue.send(named("a"))
                await queue._outbox.forget()
            with contextlib.closing(sqlite3.connect(path)) as db:
                hashes += db.execute("SELECT fingerprint FROM message").fetchall()

        assert 2 == len(set(hashes))


class TestPrivacy:
    async def test_files_are_their_owners_alone(self, opened, path):
        """
        0600, whatever the umask is, also beside the file.
        """
        before = os.umask(0)
        try:
            async with opened() as queue:
                await queue.send(named("a"))
                modes = {
                    file.name: stat.S_IMODE(file.stat().st_mode)
                    for file in path.parent.glob(f"{path.name}*")
                }
        finally:
            os.umask(before)

        assert {"outbox.db": 0o600, "outbox.db-wal": 0o600} == modes

    async def test_no_number_and_no_text_is_shown(self, path, caplog):
        """
        In no repr, error or log, whatever happens.
        """
        caplog.set_level(logging.DEBUG)
        line, outbox = Opaque(), SqliteOutbox(path)
        line.answers.extend([ConnectionFailed(), KeyError("secret"), RequestRejected()])
        shown = []
        async with SendQueue(
            line, outbox=outbox, on_outcome=lambda outcome: shown.append(repr(outcome))
        ) as queue:
            for n in range(4):
                await queue.submit(sms("confidentiel", reference=str(n)))
            await queue.join()
            with pytest.raises(InvalidMessage) as invalid:
                await queue.submit(sms("autre", reference="0"))
            outbox._file.connection.execute("DROP TABLE message")
            with pytest.raises(OutboxUnusable) as unusable:
                await queue.submit(sms("confidentiel"))
            entry = Entry(sms("confidentiel"), Priority.NORMAL)
            shown += map(repr, [outbox, entry, invalid.value, unusable.value])
        shown += [record.getMessage() for record in caplog.records]

        assert not [said for said in shown if "701020304" in said or "confidentiel" in said]


@pytest.fixture
def unprivileged():
    """Root may write anywhere: be nobody meanwhile."""
    if os.geteuid() == 0:
        os.seteuid(65534)
        yield
        os.seteuid(0)
    else:
        yield


@pytest.fixture
def folder():
    """A folder that others may enter, unlike pytest's."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


HOLDER = """
import asyncio, datetime, sys
from orange_sms_async.outbox.sqlite import SqliteOutbox
try:
    asyncio.run(SqliteOutbox(sys.argv[1]).open(0, datetime.timedelta(1)))
    print("held", flush=True)
except OSError as error:
    print(type(error).__name__, error, flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def another_process(path):
    """Another process that opens the file; what it says of it."""
    command = [sys.executable, "-c", HOLDER, path]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


class TestBadGround:
    async def refused(self, line, path, *causes):
        with pytest.raises(OutboxUnusable) as unusable:
            async with SendQueue(line, outbox=SqliteOutbox(path)) as queue:
                await queue.send(named("a"))

        said = str(unusable.value)
        assert str(path) in said
        assert any(cause in said for cause in causes), said
        assert isinstance(unusable.value, OSError)
        assert [] == line.left

    async def test_a_folder_that_is_not_there(self, line, tmp_path):
        """
        It is not made up.
        """
        await self.refused(line, tmp_path / "none" / "outbox.db", "No such file")

    async def test_a_folder_as_file_and_a_file_as_folder(self, line, tmp_path):
        """
        Each is named.
        """
        (tmp_path / "file").touch()
        await self.refused(line, tmp_path, "Is a directory")
        await self.refused(line, tmp_path / "file" / "outbox.db", "Not a directory")

    async def test_a_read_only_folder(self, line, folder, unprivileged):
        """
        No file can be made there.
        """
        if os.geteuid() == folder.stat().st_uid:
            folder.chmod(0o555)
        await self.refused(line, folder / "outbox.db", "Permission denied")

    async def test_a_file_in_a_folder_that_became_read_only(self, line, folder, request):
        """
        SQLite needs to write beside it.
        """
        path = folder / "outbox.db"
        await leave(path)
        path.chmod(0o666)
        folder.chmod(0o555)
        request.getfixturevalue("unprivileged")
        await self.refused(line, path, "unable to open", "readonly")

    async def test_a_file_one_may_only_read(self, line, folder, request):
        """
        A backup made read-only stays what it is.
        """
        path = folder / "outbox.db"
        await leave(path)
        path.chmod(0o444)
        request.getfixturevalue("unprivileged")
        await self.refused(line, path, "Permission denied")

    @pytest.mark.parametrize("content", [b"to;text\n" * 1_000, b"x", os.urandom(8_192)])
    async def test_a_file_that_is_no_database_is_left_alone(self, line, path, content):
        """
        Somebody's list, given by mistake.
        """
        path.write_bytes(content)
        await self.refused(line, path, "not an outbox")

        assert content == path.read_bytes()
        assert ["outbox.db"] == [file.name for file in path.parent.iterdir()]

    @pytest.mark.parametrize("journal", ["delete", "wal"])
    async def test_a_database_of_another_program_is_left_alone(self, line, path, journal):
        """
        Byte for byte.
        """
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute(f"PRAGMA journal_mode = {journal}")
            db.execute("CREATE TABLE message (reference)")
            db.commit()
            foreign = crash(path)  # with what its program had not written back yet
        before = {file.name: file.read_bytes() for file in foreign.parent.iterdir()}
        await self.refused(line, foreign, "another program")

        assert before == {file.name: file.read_bytes() for file in foreign.parent.iterdir()}

    async def test_an_empty_database_of_another_program(self, line, path):
        """
        One that says whose it is, without a table yet.
        """
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA application_id = 7")
            db.commit()
        before = path.read_bytes()
        await self.refused(line, path, "another program")

        assert before == path.read_bytes()

    async def test_a_newer_schema(self, line, path):
        """
        Written by a newer version: not touched by this one.
        """
        await leave(path, Entry(named("a"), Priority.NORMAL))
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA user_version = 99")
        before = path.read_bytes()
        await self.refused(line, path, "newer version")

        assert before == path.read_bytes()

    @pytest.mark.parametrize("where", ["header", "pages", "cut"])
    async def test_a_damaged_file(self, line, path, where):
        """
        Better no message than from a file that cannot be trusted.
        """
        entries = (Entry(named(str(n)), Priority.NORMAL) for n in range(200))
        await leave(path, *entries)
        content = bytearray(path.read_bytes())
        if where == "header":
            content[:4_096] = b"\xaa" * 4_096
        elif where == "pages":
            content[4_096:] = b"\xaa" * (len(content) - 4_096)
        else:
            del content[4_096:]
        path.write_bytes(content)
        await self.refused(line, path, "damaged", "malformed", "corrupt")

    async def test_an_empty_file(self, line, opened, path):
        """
        Made by `touch`: as good as none.
        """
        path.touch()
        async with opened() as queue:
            await queue.send(named("a"))

        assert {"a": "sent"} == on_disk(path)

    async def test_a_file_another_process_has(self, line, opened, path):
        """
        Two that send from one file would send twice; when the first is gone, the second may.
        """
        with another_process(path) as said:
            assert "held" == said
            await self.refused(line, path, "held by")
        async with opened() as queue:
            assert "id-a" == await queue.send(named("a"))

    async def test_a_file_this_process_has(self, line, path):
        """
        Not even two queues of one process; and having tried does not let another process in.
        """
        async with SendQueue(Line(), outbox=SqliteOutbox(path)):
            await self.refused(line, path, "held by")
            with another_process(path) as said:
                assert "held by" in said

    async def test_asked_of_a_file_that_was_refused(self, line, path):
        """
        It says at once that it is not open: a receipt that comes meanwhile is answered 503.
        """
        async with SendQueue(line, outbox=SqliteOutbox(path)):
            refused = SqliteOutbox(path)
            with pytest.raises(OutboxUnusable, match="held by"):
                await refused.open(0.0, MONTH)
            async with asyncio.timeout(5):
                with pytest.raises(OutboxUnusable, match="not open"):
                    await refused.find("a")
                await refused.aclose()

    async def test_a_file_refused_is_let_go_of(self, line, opened, path):
        """
        Repaired, it opens: the refusal left no lock behind.
        """
        await leave(path, Entry(named("a"), Priority.NORMAL))
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("ALTER TABLE message RENAME TO away")
        outbox = SqliteOutbox(path)
        with pytest.raises(OutboxUnusable):
            await outbox.open(0.0, MONTH)
        with contextlib.closing(sqlite3.connect(path, timeout=0)) as db:
            db.execute("ALTER TABLE away RENAME TO message")
        async with opened():
            pass

        assert ["a"] == line.accepted


@contextlib.contextmanager
def largest_file(size):
    """A disk on which no file grows beyond this."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def submit_until_full(queue, count, admitted):
    for n in range(count):
        admitted[str(n)] = await queue.submit(named(str(n), sender_name="MonService"))


class TestFullDisk:
    async def test_no_more_is_admitted_and_what_was_is_sent(self, line, opened, path):
        """
        A file that cannot grow refuses new messages by their error, and loses none.
        """
        admitted = {}
        async with asyncio.timeout(600), opened() as queue:
            connection = queue._outbox._file.connection
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages + 10}")
            with pytest.raises(OutboxUnusable, match=r"outbox\.db: .*full"):
                await submit_until_full(queue, 10_000, admitted)
            results = await asyncio.gather(*admitted.values(), return_exceptions=True)
        async with opened():
            pass

        assert admitted
        assert {str, QueueClosed} >= {type(result) for result in results}
        assert Counter(admitted.keys()) == Counter(line.accepted)
        assert {"sent", "unknown"} >= set(on_disk(path).values())

    @pytest.mark.parametrize("room", [0, 20_000, 200_000])
    async def test_a_disk_that_takes_nothing_more(self, line, opened, path, room):
        """
        When not even what leaves can be written down, nothing leaves; later it all goes on.
        """
        admitted = {}
        async with asyncio.timeout(600), opened() as queue:
            await queue.submit(named("first"), not_before=later(queue, 0.1))
            size = path.with_name("outbox.db-wal").stat().st_size
            with largest_file(size + room):
                with pytest.raises((OutboxUnusable, QueueClosed)):
                    await submit_until_full(queue, 10_000, admitted)
                await queue.aclose()
        left = [time for time, _ in line.left]
        async with opened() as queue:
            unknown = {outcome.reference for outcome in queue.recovered}
            await queue.join()
            states = await outcomes(queue)

        assert admitted.keys() | {"first"} <= states.keys()
        assert {1} >= set(Counter(line.texts).values())
        assert {"sent", "unknown"} >= set(states.values())
        assert len(unknown) <= len(left)

    async def test_a_disk_with_no_room_for_a_new_file(self, line, path):
        """
        Said on opening, by the file's name.
        """
        with largest_file(1_000):
            await TestBadGround().refused(line, path, "disk")

    async def test_an_outcome_that_cannot_be_kept_is_true_all_the_same(self, line, opened, path):
        """
        Its future has it; the queue stops; the file, opened again, calls it unknown.
        """
        line.delay = 1.0
        async with opened() as queue:
            first = await queue.submit(named("a"))
            second = await queue.submit(named("b"), not_before=later(queue, 60))
            await asyncio.sleep(0.5)
            with largest_file(path.with_name("outbox.db-wal").stat().st_size):
                await asyncio.wait({first, second})
                await queue.aclose()

        assert "id-a" == first.result()
        assert isinstance(second.exception(), QueueClosed)
        assert isinstance(second.exception().__cause__, OutboxUnusable)
        async with opened() as queue:
            assert ["a"] == [outcome.reference for outcome in queue.recovered]
            await queue.aclose(drain=False)


class TestClosing:
    async def test_closing_without_a_drain_leaves_what_waits_on_disk(self, line, opened, path):
        """
        Their futures say that this queue did not send them; the next one does.
        """
        async with opened() as queue:
            futures = [await queue.submit(named(text)) for text in "abcd"]
            await futures[0]
            await queue.aclose(drain=False)

        left = [text for text, state in on_disk(path).items() if state == "queued"]
        assert ["b", "c", "d"][-len(left) :] == left
        assert len(left) == sum(isinstance(f.exception(), QueueClosed) for f in futures)
        async with opened():
            pass
        assert ["a", "b", "c", "d"] == line.accepted

    async def test_wrong_credentials_leave_what_waits_on_disk(self, line, opened, path):
        """
        With the right ones it goes on.
        """
        line.answers.append(AuthenticationFailed())
        async with opened() as queue:
            futures = [await queue.submit(named(text)) for text in "abc"]
            await asyncio.wait(futures)

        assert {"a": "queued", "b": "queued", "c": "queued"} == on_disk(path)
        causes = [future.exception().__cause__ for future in futures]
        assert [AuthenticationFailed] * 3 == [type(cause) for cause in causes]
        async with opened():
            pass
        assert ["a", "b", "c"] == line.accepted

    async def test_what_comes_back_unsent_to_a_closed_queue_waits_on_disk(self, line, opened, path):
        """
        Not sent is not lost.
        """
        line.delay = 1.0
        line.answers.append(ConnectionFailed())
        async with opened() as queue:
            future = await queue.submit(named("a"))
            await asyncio.sleep(0.5)
            await queue.aclose(drain=False)

        assert isinstance(future.exception(), QueueClosed)
        assert {"a": "queued"} == on_disk(path)

    async def test_a_request_cut_on_closing_is_unknown_on_disk(self, line, opened, path):
        """
        A client that hangs for ever is cut after a minute.
        """
        line.delay = math.inf
        async with opened() as queue:
            future = await queue.submit(named("a"))
            await asyncio.sleep(0.5)
            await queue.aclose(drain=False)

        assert isinstance(future.exception(), OutcomeUnknown)
        assert {"a": "unknown"} == on_disk(path)

    async def test_a_bulk_left_early_leaves_what_waits_on_disk(self, line, opened, path):
        """
        Its reader went away; what was admitted is sent all the same.
        """
        async with opened() as queue:
            async with queue.bulk(named(str(n)) for n in range(50)) as reports:
                async for _ in reports:
                    break

        assert {"sent"} == set(on_disk(path).values())

    async def test_submitting_while_it_closes(self, opened, path):
        """
        Whoever is told that it was admitted finds it on disk.
        """
        admitted = []

        async def submit(queue, text):
            await queue.submit(named(text), not_before=later(queue, 600))
            admitted.append(text)

        async with asyncio.timeout(100), opened() as queue:
            producers = [asyncio.create_task(submit(queue, str(n))) for n in range(50)]
            await asyncio.sleep(0)
            await queue.aclose(drain=False)
            ends = await asyncio.gather(*producers, return_exceptions=True)

        assert {type(None), QueueClosed} >= {type(end) for end in ends}
        assert set(admitted) <= on_disk(path).keys()

    async def test_nothing_is_left_open(self, opened):
        """
        The file, its thread and its lock go with the queue.
        """
        threads = threading.active_count()
        async with opened() as queue:
            await queue.send(named("a"))
            assert threads < threading.active_count()
        del queue
        gc.collect()

        assert threads == await settled(threading.active_count, threads)


async def settled(value, expected):
    """Wait a moment for threads to come to their end."""
    deadline = time.monotonic() + 5
    while value() != expected and time.monotonic() < deadline:
        await asyncio.to_thread(time.sleep, 0.001)
    return value()


class Row:
    """What a file should hold of a message."""

    def __init__(self, entry, taken=None):
        self.entry, self.taken = entry, taken
        self.again, self.in_doubt = entry.on_unknown == "resend", False
        self.state = State.SCHEDULED if entry.not_before else State.QUEUED


class Model:
    """An outbox as a dict, in the order of the first submit."""

    def __init__(self):
        self.rows = {}

    def of(self, *states):
        return [row for row in self.rows.values() if row.state in states]

    def next(self, now):
        for row in self.of(State.SCHEDULED):
            if row.entry.not_before <= now:
                row.state = State.QUEUED
        return min(self.of(State.QUEUED), key=lambda row: row.entry.priority, default=None)

    def ready_at(self):
        due = (row.entry.not_before for row in self.of(State.SCHEDULED))
        return 0.0 if self.of(State.QUEUED) else min(due, default=None)

    def crash(self, now):
        for row in self.of(State.SENDING):
            row.state = State.QUEUED if row.again else State.UNKNOWN
            row.again, row.in_doubt = False, row.again or row.in_doubt
        for row in self.of(State.QUEUED, State.SCHEDULED):
            if row.entry.expires_at <= now:
                row.state = State.EXPIRED


class Walk:
    """The same steps over a file and over the model of it."""

    def __init__(self, folder):
        self.path, self.model, self.now = Path(folder) / "outbox.db", Model(), 1.0
        self.outbox = SqliteOutbox(self.path)

    async def add(self, n, k):
        reference = str(n)
        again = "resend" if n % 3 == 0 else "report"
        expires_at = self.now + 3 if n % 3 == 1 else math.inf
        not_before = self.now + k if k > 2 else 0.0
        entry = Entry(named(reference), Priority(k % 3), not_before, expires_at, again)
        known = self.model.rows.setdefault(reference, row := Row(entry))
        outcome = await self.outbox.add(entry)

        assert (outcome is None) == (known is row)
        assert outcome is None or outcome.state is known.state
        with pytest.raises(InvalidMessage):
            await self.outbox.add(Entry(sms("autre", reference=reference), Priority.NORMAL))

    async def take(self, n, k):
        expected = self.model.next(self.now)
        entry = await self.outbox.take(self.now)

        assert (expected and expected.entry.message.text) == (entry and entry.message.text)
        if expected:
            assert expected.entry.expires_at == entry.expires_at
            assert expected.again == (entry.on_unknown == "resend")
            expected.taken, expected.state = entry, State.SENDING

    async def put_back(self, n, k):
        for row in self.model.of(State.SENDING)[:1]:
            row.state = State.QUEUED
            await self.outbox.put_back(row.taken)

    async def settle(self, n, k):
        for row in self.model.of(State.SENDING)[:1]:
            row.state = (State.SENT, State.FAILED, State.UNKNOWN)[k % 3]
            reference = row.entry.message.reference
            errors = {State.FAILED: RequestRejected(), State.UNKNOWN: OutcomeUnknown()}
            sent = ResourceId("id") if row.state is State.SENT else None
            outcome = Outcome(reference, row.state, sent, errors.get(row.state))
            await self.outbox.settle(outcome, self.now)

    async def withdraw(self, n, k):
        row = self.model.rows.get(str(n))
        waits = row is not None and row.state.waits and not row.in_doubt
        outcome = Outcome(str(n), State.WITHDRAWN, error=MessageWithdrawn())

        assert waits == await self.outbox.withdraw(outcome, self.now)
        if waits:
            row.state = State.WITHDRAWN

    async def resolve(self, n, k):
        row = self.model.rows.get(str(n))
        unknown = row is not None and row.state is State.UNKNOWN
        sent = ResourceId(f"found-{n}") if k % 2 else None

        assert unknown is bool(await self.outbox.resolve(str(n), sent, self.now))
        if unknown:
            row.state = State.SENT if sent else State.QUEUED

    async def wait(self, n, k):
        self.now += k

    async def crash(self, n, k):
        self.path = crash(self.path)
        await self.outbox.aclose()
        self.outbox = SqliteOutbox(self.path)
        before = {reference: row.state for reference, row in self.model.rows.items()}
        self.model.crash(self.now)
        changed = {reference: row.state for reference, row in self.model.rows.items()}
        recovered = await self.outbox.open(self.now, MONTH)

        assert {outcome.reference: outcome.state for outcome in recovered} == {
            reference: state
            for reference, state in changed.items()
            if state is not before[reference] and state is not State.QUEUED
        }

    async def compare(self):
        expected = {reference: row.state for reference, row in self.model.rows.items()}
        kept = [outcome async for outcome in self.outbox.outcomes(None)]
        waiting = Counter(row.entry.priority for row in self.model.rows.values() if row.state.waits)

        assert [*expected.items()] == [(outcome.reference, outcome.state) for outcome in kept]
        assert {lane: waiting[lane] for lane in Priority} == {
            lane: self.outbox.waiting(lane) for lane in Priority
        }
        assert waiting.total() + len(self.model.of(State.SENDING)) == self.outbox.unfinished
        assert self.model.ready_at() == await self.outbox.ready_at()

    async def go(self, steps):
        await self.outbox.open(self.now, MONTH)
        try:
            for name, n, k in steps:
                await getattr(self, name)(n, k)
                await self.compare()
        finally:
            await self.outbox.aclose()


NAMES = ("add", "add", "take", "take", "put_back", "settle", "withdraw", "resolve", "wait", "crash")
STEPS = st.tuples(st.sampled_from(NAMES), st.integers(0, 9), st.integers(0, 5))


@settings(max_examples=40, deadline=None)
@given(st.lists(STEPS, min_size=10, max_size=60))
def test_the_file_agrees_with_a_dict(steps):
    """
    Whatever is done to it in whatever order, crashes included.
    """
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(Walk(folder).go(steps))


@pytest.fixture(params=["memory", "sqlite"])
def over(request, line, path):
    """A queue over each kind of outbox: what holds for one holds for the other."""
    makers = {"memory": MemoryOutbox, "sqlite": lambda: SqliteOutbox(path)}

    def queue(rate: float | None = None, **settings):
        line_ = line if rate is None else line.paced(rate)
        return SendQueue(line_, outbox=makers[request.param](), **settings)

    return queue


class TestEitherOutbox:
    async def test_five_a_second_and_all_of_it(self, line, over):
        """
        The disk costs the pace nothing.
        """
        async with over() as queue, queue.bulk(named(str(n)) for n in range(100)) as reports:
            assert all([report.error is None async for report in reports])

        assert 5 == most_in_a_second(line.times)
        assert 20 == pytest.approx(line.times[-1] - line.times[0], abs=0.3)

    async def test_urgent_before_normal_before_bulk_and_each_in_order(self, line, over):
        """
        A lane leaves when those above it hold nothing.
        """
        lanes = {"u": Priority.URGENT, "n": Priority.NORMAL, "b": Priority.BULK}
        async with over() as queue:
            await queue.send(named("first"))
            for text in ("n1", "b1", "u1", "n2", "b2", "u2"):
                queue.submit_nowait(named(text), priority=lanes[text[0]])

        assert ["first", "u1", "u2", "n1", "n2", "b1", "b2"] == line.texts

    async def test_what_was_not_sent_goes_first_when_sending_goes_on(self, line, over):
        """
        Back to the head of its lane.
        """
        line.answers.append(ServiceUnavailable())
        async with over() as queue:
            futures = [await queue.submit(named(text)) for text in "abc"]

            assert ["id-a", "id-b", "id-c"] == await asyncio.gather(*futures)
        assert ["a", "a", "b", "c"] == line.texts

    async def test_pauses_double_from_one_second_to_sixty(self, line, over):
        """
        An outage is knocked at more and more seldom.
        """
        line.answers.extend([ConnectionFailed()] * 8)
        async with over() as queue:
            await queue.send(named("a"))

        pauses = [round(b - a) for a, b in zip(line.times, line.times[1:], strict=False)]
        assert [1, 2, 4, 8, 16, 32, 60, 60] == pauses

    async def test_a_full_lane_makes_its_producers_wait_and_no_others(self, over):
        """
        Backpressure is per lane.
        """
        async with over(capacity=2) as queue:
            due = later(queue, 5)
            for text in "ab":
                await queue.submit(named(text), priority=Priority.BULK, not_before=due)
            with pytest.raises(QueueFull, match="BULK"):
                queue.submit_nowait(named("c"), priority=Priority.BULK)
            await asyncio.wait_for(queue.submit(named("u"), priority=Priority.URGENT), 1)
            start = now()
            await queue.submit(named("d"), priority=Priority.BULK)

            assert 5 == pytest.approx(now() - start, abs=0.5)

    async def test_not_before_leaves_in_the_order_of_dates(self, line, over):
        """
        And not earlier.
        """
        async with over() as queue:
            start = now()
            await queue.submit(named("c"), not_before=later(queue, 20))
            await queue.submit(named("b"), not_before=later(queue, 10))
            await queue.submit(named("a"))

        assert ["a", "b", "c"] == line.texts
        assert [0, 10, 20] == [round(time - start) for time in line.times]

    async def test_what_expires_is_not_sent(self, line, over):
        """
        It takes no slot, and says so.
        """
        line.answers.append(ServiceUnavailable())
        async with over() as queue:
            due = later(queue, 0.5)
            futures = [await queue.submit(named(str(n)), expires_at=due) for n in range(10)]
            await queue.submit(named("valid"))
            results = await asyncio.gather(*futures, return_exceptions=True)

        assert {MessageExpired} == {type(result) for result in results}
        assert ["0", "valid"] == line.texts

    async def test_what_waits_can_be_withdrawn(self, line, over):
        """
        Its future says so, and its place is free.
        """
        async with over(capacity=1) as queue:
            first = await queue.submit(named("x"), not_before=later(queue, 5))
            assert await queue.withdraw("x")
            await asyncio.wait_for(queue.submit(named("y")), 1)
            with pytest.raises(MessageWithdrawn):
                await first

        assert ["y"] == line.texts

    async def test_a_drain_for_some_seconds(self, line, over):
        """
        A deploy that allows two seconds gets two seconds.
        """
        async with over() as queue:
            futures = [await queue.submit(named(str(n))) for n in range(100)]
            start = now()
            await queue.aclose(drain=2)

        assert 2 == pytest.approx(now() - start, abs=0.1)
        assert len(line.accepted) == sum(future.exception() is None for future in futures)

    async def test_no_more_are_on_the_wire_than_there_are_workers(self, line, over):
        """
        With all workers busy no message is taken.
        """
        line.delay = 1.0
        async with over(workers=2) as queue:
            for n in range(10):
                await queue.submit(named(str(n)))
            await asyncio.sleep(0.9)

            assert 2 == queue.statistics().in_flight
        assert 2 == most_in_a_second(line.times)

    async def test_unpaced(self, line, over):
        """
        All of a thousand, each once.
        """
        async with over(rate=math.inf) as queue:
            async with queue.bulk(named(str(n)) for n in range(1_000)) as reports:
                assert 1_000 == len([report async for report in reports])

        assert {1} == set(Counter(line.accepted).values())


async def test_a_checkpoint_cut_in_its_middle_is_no_damage(path):
    """
    Killed while the log was written back: the file is shorter than it says, and all is there.
    """
    outbox = SqliteOutbox(path)
    await outbox.open(0.0, MONTH)
    empty = path.read_bytes()
    for n in range(200):
        await outbox.add(Entry(named(f"{n}"), Priority.NORMAL))
    log = path.with_name("outbox.db-wal").read_bytes()
    await outbox.aclose()
    cut = path.with_name("cut.db")
    cut.write_bytes(path.read_bytes()[:4096] + empty[4096:])
    path.with_name("cut.db-wal").write_bytes(log)

    again = SqliteOutbox(cut)
    await again.open(0.0, MONTH)
    assert 200 == again.unfinished
    await again.aclose()


async def test_what_was_taken_for_certain_is_not_sent_again(line, path):
    """
    A 201 without an id is in no doubt, whatever was asked for when it is.
    """
    taken = OutcomeUnknown()
    taken.accepted = True
    line.answers.append(taken)
    async with SendQueue(line, outbox=SqliteOutbox(path)) as queue:
        with pytest.raises(OutcomeUnknown):
            await queue.send(named("a"), on_unknown="resend")

    assert ["a"] == line.texts


async def test_resolving_is_done_whoever_goes_away(line, path):
    """
    Cancelled in the middle of its commit, the message waits again and is sent.
    """
    line.answers.append(OutcomeUnknown())
    async with SendQueue(line, outbox=SqliteOutbox(path)) as queue:
        future = await queue.submit(named("a"))
        await asyncio.wait({future})
        resolving = asyncio.create_task(queue.resolve("a", sent=None))
        await asyncio.sleep(0)
        resolving.cancel()
        await asyncio.sleep(1)
        await queue.send(named("b"))

    assert ["a", "a", "b"] == line.texts


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
    [("state = 'sending', finished_at = NULL", 1.0), ("finished_at = finished_at - 3600", 0.0)],
    ids=["nobody knows when", "long ago"],
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
        db.execute(f"UPDATE message SET {left}")
    start = asyncio.get_running_loop().time()
    async with opened(rate=5) as queue:
        await queue.send(named("again"))

    assert wait == pytest.approx(line.times[-1] - start, abs=0.05)
