"""The pace of a process with much else to do: late slots are made up for, and nothing bursts."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from line import Line, most_in_a_second, sms

from orange_sms_async import Pacer, SendQueue
from orange_sms_async.clock import JumpingClock
from orange_sms_async.pacing import Departure, departure
from orange_sms_async.sandbox.orange.limits import Spike


class Departing(Line):
    """A line whose requests tell when they leave, some turns of the loop after they began."""

    def __init__(self, **settings) -> None:
        super().__init__(**settings)
        self.departures: list[float] = []

    async def attempt(self, message):
        leaving = departure.get()
        assert leaving
        leaving.expect()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        leaving.tell()
        self.departures.append(asyncio.get_running_loop().time())
        return await super().attempt(message)


async def handlers(clock: JumpingClock, busy: float, every: float) -> None:
    """Block the loop, as a web application's handlers do."""
    while True:
        await asyncio.sleep(every - busy)
        clock.jump(busy)


def campaign(line: Line, busy: float, every: float, messages: int) -> float:
    """Send so many beside such handlers; return how long that took."""
    clock = JumpingClock()

    async def run() -> float:
        blocking = asyncio.create_task(handlers(clock, busy, every))
        async with SendQueue(line) as queue:
            async with queue.bulk(sms(str(n)) for n in range(messages)) as reports:
                assert messages == len([report async for report in reports])
        blocking.cancel()
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=clock) as runner:
        return runner.run(run())


BUSY = [(0.02, 0.073, 0.97), (0.05, 0.33, 0.99), (0.1, 0.5, 0.99), (0.15, 0.71, 0.92)]


@pytest.mark.parametrize(("busy", "every", "share"), BUSY)
@pytest.mark.parametrize("rate", [5, 20, 500])
def test_blocked_handlers_cost_next_to_nothing(busy, every, share, rate):
    """
    The share of the allowance that is used, with not one departure too many in any second.
    """
    line = Departing(delay=0.05).paced(rate)
    seconds = campaign(line, busy, every, {5: 2_000, 20: 800, 500: 10_000}[rate])

    left = line.departures
    settled = [time for time in left if time >= seconds / 4]
    assert share <= (len(settled) - 1) / (settled[-1] - settled[0]) / rate
    assert rate >= most_in_a_second(left)


@pytest.mark.parametrize(("busy", "every", "_"), BUSY)
def test_a_server_that_refuses_close_slots_is_left_in_peace(busy, every, _):
    """
    Three refusals end the making up; one in five hundred tries it again.
    """
    line = Departing(delay=0.05, admit=Spike(5).admit)
    campaign(line, busy, every, 1_000)

    assert 1_000 == len(line.accepted)
    assert 0.02 * len(line.left) >= line.throttled


async def test_idle_is_not_late():
    """
    After a pause two messages do not leave at once: nobody was late with them.
    """
    pacer = Pacer(5)
    await pacer.slot()
    await asyncio.sleep(10)
    first, second = await pacer.slot(), await pacer.slot()

    assert second - first >= 0.2


def test_a_process_that_was_stopped_does_not_burst():
    """
    Three seconds or ninety: one slot's worth is made up for, and no more.
    """
    for stopped in (3.0, 90.0):
        line, clock = Departing(delay=0.05), JumpingClock()

        async def run(line=line, clock=clock, stopped=stopped) -> None:
            asyncio.get_running_loop().call_later(5, clock.jump, stopped)
            async with SendQueue(line) as queue, queue.bulk(map(sms, "x" * 100)) as reports:
                assert 100 == len([report async for report in reports])

        with asyncio.Runner(loop_factory=clock) as runner:
            runner.run(run())

        assert 5 >= most_in_a_second(line.departures)
        after = [time for time in line.departures if time >= 5 + stopped]
        assert after[6] - after[0] >= 1.0


HAPPENINGS = ["take", "take", "take", "leave", "leave", "stall", "throttled", "accepted", "never"]


class Traffic:
    """A pacer, and requests that leave late, never, or are refused, at random."""

    def __init__(self, rate: float, clock: JumpingClock, seed: int) -> None:
        self.pacer, self.clock, self.chance = Pacer(rate), clock, random.Random(seed)
        self.waiting: list[tuple[float, Departure]] = []
        self.answered: list[float] = []
        self.left: list[float] = []

    async def take(self) -> None:
        if len(self.waiting) >= 3:  # all of a slow rate's would be on their way
            return await self.leave()
        slot = await self.pacer.slot()
        leaving = Departure(self.pacer)
        leaving.begin(lambda: None)
        leaving.expect()
        self.waiting.append((slot, leaving))
        return None

    async def leave(self) -> None:
        if self.waiting:
            slot, leaving = self.waiting.pop(self.chance.randrange(len(self.waiting)))
            leaving.tell()
            self.left.append(self.pacer.left_at[-1])
            self.answered.append(slot)

    async def never(self) -> None:
        if self.waiting:
            self.waiting.pop()[1].over()

    async def stall(self) -> None:
        await asyncio.sleep(self.chance.choice([0, 0.01, 0.1]))
        self.clock.jump(self.chance.choice([0.001, 0.02, 0.15, 0.7, 3]))

    async def accepted(self) -> None:
        if self.answered:
            self.pacer.accepted(self.answered.pop(0))

    async def throttled(self) -> None:
        if self.answered and self.chance.random() < 0.2:
            self.pacer.throttled(self.answered.pop(0))


@settings(max_examples=1_000, deadline=None)
# Bytes for happenings: hypothesis makes them, and tries fewer of them, ten times as fast as lists.
@given(st.sampled_from([5, 7, 50]), st.binary(min_size=200, max_size=500), st.integers())
def test_no_rolling_second_of_departures_holds_one_too_many(rate, happenings, seed):
    """
    Whatever stalls, leaves late, never leaves or is refused, in whatever order.
    """
    clock = JumpingClock()
    traffic = Traffic(rate, clock, seed)

    async def run() -> None:
        for byte in happenings:
            await getattr(traffic, HAPPENINGS[byte % len(HAPPENINGS)])()

    with asyncio.Runner(loop_factory=clock) as runner:
        runner.run(run())

    assert rate >= most_in_a_second(traffic.left)
