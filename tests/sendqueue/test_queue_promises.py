"""Promises that once broke under attack, each kept by the general rule."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from line import Line, named, sms

from orange_sms_async import (
    MessageExpired,
    OutcomeUnknown,
    QueueClosed,
    ResourceId,
    SendQueue,
    SqliteOutbox,
)
from orange_sms_async.clock import JumpingClock
from orange_sms_async.events import WaitingFor
from orange_sms_async.outbox.memory import MemoryOutbox


async def test_submitting_from_another_loop_is_refused_before_anything_is_admitted(line):
    """
    It used to raise a bare ValueError, and to send the message.
    """
    async with SendQueue(line) as queue:

        def elsewhere() -> None:
            asyncio.run(queue.submit(sms("a")))

        with pytest.raises(RuntimeError, match="run_coroutine_threadsafe"):
            await asyncio.to_thread(elsewhere)
        with pytest.raises(RuntimeError, match="another event loop"):
            await asyncio.to_thread(queue.submit_nowait, sms("b"))

    assert [] == line.left


def on(clock: JumpingClock, path, use) -> Line:
    """Use a queue on a clock of its own, on which a test steps the wall clock."""
    line = Line()

    async def run() -> None:
        async with SendQueue(line, outbox=SqliteOutbox(path)) as queue:
            await use(queue)

    with asyncio.Runner(loop_factory=clock) as runner:
        runner.run(run())
    return line


def date(clock: JumpingClock, **later: float) -> datetime:
    return datetime.fromtimestamp(clock.wall_time(), UTC) + timedelta(**later)


def test_a_clock_put_back_expires_nothing_early(path):
    """
    Two hours back: what ends in a minute of the clock as it is now has a minute.
    """
    clock = JumpingClock()

    async def use(queue: SendQueue) -> None:
        clock.step(-7_200)
        await queue.send(named("a"), expires_at=date(clock, minutes=1))

    assert ["a"] == on(clock, path, use).texts


def test_a_clock_put_back_lets_nothing_leave_early(path):
    """
    What is for in an hour leaves in an hour.
    """
    clock = JumpingClock()

    async def use(queue: SendQueue) -> None:
        clock.step(-7_200)
        began = asyncio.get_running_loop().time()
        await queue.send(named("a"), not_before=date(clock, hours=1))
        assert 3_599 <= asyncio.get_running_loop().time() - began < 3_620

    on(clock, path, use)


def test_what_ended_while_the_machine_slept_is_not_sent(path):
    """
    Timers stand still meanwhile, dates do not: a code of ten minutes is worth nothing at breakfast.
    """
    clock = JumpingClock()

    async def use(queue: SendQueue) -> None:
        soon = date(clock, minutes=1)
        future = await queue.submit(named("a"), not_before=soon, expires_at=date(clock, minutes=10))
        await asyncio.sleep(1)
        clock.step(8 * 3_600)
        await asyncio.wait({future})
        assert isinstance(future.exception(), MessageExpired)

    assert [] == on(clock, path, use).texts


def test_a_clock_put_forward_is_noticed_within_seconds(path):
    """
    Who waits for a date looks again every ten seconds.
    """
    clock = JumpingClock()

    async def use(queue: SendQueue) -> None:
        future = await queue.submit(named("a"), not_before=date(clock, hours=1))
        await asyncio.sleep(1)
        clock.step(3_600)
        await asyncio.wait_for(future, 15)

    on(clock, path, use)


def test_a_clock_put_back_is_what_a_queue_waits_for(path, caplog):
    """
    An operator who has only the log, or only the statistics, can say so.
    """
    clock, seen = JumpingClock(), []

    async def use(queue: SendQueue) -> None:
        future = await queue.submit(named("a"), not_before=date(clock, minutes=5))
        await asyncio.sleep(1)
        clock.step(-7_200)
        await asyncio.sleep(30)
        seen.append(queue.statistics().waiting_for)
        await future
        seen.append(queue.statistics().waiting_for)

    on(clock, path, use)

    assert [WaitingFor.CLOCK, None] == seen
    assert 1 == sum("the clock was set back" in message for message in caplog.messages)


async def cancelled(_: object) -> None:
    raise asyncio.CancelledError


def cancels(_: object) -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize("name", ["on_outcome", "on_event"])
async def test_a_callback_that_cancels_takes_no_worker_along(line, caplog, name):
    """
    With one worker the queue would stand still for ever.
    """
    callback: dict[str, Any] = {name: cancels}
    async with SendQueue(line, workers=1, **callback) as queue:
        async with asyncio.timeout(60), queue.bulk(map(sms, "abcde")) as reports:
            assert all([report.error is None async for report in reports])

    assert f"{name} raised CancelledError" in caplog.messages


@pytest.mark.parametrize("name", ["on_outcome", "on_event"])
async def test_a_callback_that_would_have_to_be_awaited_is_refused(line, caplog, name):
    """
    At once where that can be seen, and with a record where it cannot.
    """
    seen: dict[str, Any] = {name: cancelled}
    with pytest.raises(TypeError, match=f"{name}: must be a plain function"):
        SendQueue(line, **seen)
    unseen: dict[str, Any] = {name: lambda told: cancelled(told)}  # noqa: PLW0108 -- hides it
    async with SendQueue(line, **unseen) as queue:
        await queue.send(sms("a"))

    assert f"{name} returned a coroutine, which nobody awaits" in caplog.messages


@pytest.mark.parametrize("sent", [ResourceId("found"), None])
async def test_what_a_person_settles_is_told_and_counted(line, path, sent):
    """
    Once, as any other outcome; what waits again is not finished.
    """
    told = []
    line.answers.append(OutcomeUnknown())
    async with SendQueue(line, outbox=SqliteOutbox(path), on_outcome=told.append) as queue:
        await asyncio.wait({await queue.submit(named("a"))})
        assert await queue.resolve("a", sent=sent)
        if sent is None:
            await queue.aclose()
        counted = queue.statistics()

    assert ["unknown", "sent"] == [outcome.state for outcome in told]
    assert (1, 1) == (counted.unknown, counted.sent)


async def test_what_is_logged_names_nobody(line, caplog):
    """
    Of a callback's error only its class: its words may hold anything.
    """
    caplog.set_level(logging.DEBUG, "orange_sms_async")

    def listener(_: object) -> None:
        raise ValueError("+2250701020304")

    async with SendQueue(line, on_outcome=listener) as queue:
        await queue.send(sms("Secret"))

    ours = [record.getMessage() for record in caplog.records if "orange_sms" in record.name]
    assert ["on_outcome raised ValueError"] == ours


class Odd(MemoryOutbox):
    """Somebody's outbox, which keeps no outcome: it says so, or breaks."""

    def __init__(self, error: Exception | None) -> None:
        super().__init__()
        self.error = error

    async def settle(self, claim, outcome, now):
        if self.error:
            raise self.error
        return []


async def test_an_outbox_that_breaks_stops_the_queue_with_its_cause(line):
    """
    Not with a worker that is gone, and a queue that stands still.
    """
    error = KeyError("a")
    async with SendQueue(line, outbox=Odd(error)) as queue:
        future = await queue.submit(sms("a"))
        await asyncio.sleep(1)

        assert "the queue stopped: KeyError" == queue.statistics().stopped
    assert isinstance(future.exception(), OutcomeUnknown)


async def test_a_message_in_other_hands_is_told_by_those(line):
    """
    Its claim was over: here it waits, and nothing is called settled.
    """
    async with SendQueue(line, outbox=Odd(None)) as queue:
        future = await queue.submit(sms("a"))
        await asyncio.sleep(1)

        assert (0, 0) == (queue.statistics().sent, queue.statistics().in_flight)
        await queue.aclose(drain=False)
    assert isinstance(future.exception(), QueueClosed)
