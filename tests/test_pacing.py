"""The pacer: the whole allowance, and never more."""

import asyncio
import math
import random
from functools import partial
from typing import Any

import pytest
from line import Line, most_in_a_second, sms

from orange_sms_async import Client, ClientCredentials, Pacer, SendQueue
from orange_sms_async.clock import JumpingClock, JumpingLoop
from orange_sms_async.outbox.memory import MemoryOutbox
from orange_sms_async.pacing import Departure, departure, of_account
from orange_sms_async.sandbox.orange.limits import Bucket, CalendarSecond, Rolling, Spike


class LateLoop(JumpingLoop):
    """A real machine: every timer fires up to a millisecond late."""

    def __init__(self) -> None:
        super().__init__()
        chance, select = random.Random(3), self._jumping.select

        def late(timeout: float | None = None) -> Any:
            return select(timeout + chance.uniform(0, 0.001) if timeout else timeout)

        self._jumping.select = late  # type: ignore[method-assign]


class BusyLoop(JumpingLoop):
    """A machine with much else to do: timers fire 2 ms late on average, and now and then 30."""

    def __init__(self) -> None:
        super().__init__()
        chance, select = random.Random(3), self._jumping.select

        def late(timeout: float | None = None) -> Any:
            if timeout:
                timeout += (
                    chance.expovariate(500) + (chance.random() < 0.02) * chance.random() * 0.03
                )
            return select(timeout)

        self._jumping.select = late  # type: ignore[method-assign]


async def slots(pacer: Pacer, seconds: float) -> list[float]:
    loop = asyncio.get_running_loop()
    end, times = loop.time() + seconds, []
    while (time := await pacer.slot()) < end:
        times.append(time)
        pacer.accepted(time)
    return times


@pytest.mark.parametrize(
    ("rate", "seconds", "share"),
    [
        (1, 400, 0.985),
        (5, 400, 0.985),
        (20, 400, 0.985),
        (50, 100, 0.97),
        (200, 40, 0.98),
        (500, 20, 0.98),
    ],
)
def test_a_late_loop_gets_its_share_and_no_rolling_second_holds_one_too_many(rate, seconds, share):
    """
    However late timers are, the rate is kept, and nearly all of it is used.
    """
    with asyncio.Runner(loop_factory=LateLoop) as runner:
        times = runner.run(slots(Pacer(rate), seconds))

    settled = [time for time in times if time > seconds / 4]
    assert rate >= most_in_a_second(times)
    assert len(settled) >= share * rate * seconds * 3 / 4


async def departures(pacer: Pacer, seconds: float) -> list[float]:
    """Take slots, and leave and tell a little after each."""
    loop = asyncio.get_running_loop()
    end, times = loop.time() + seconds, []

    def leave(leaving: Departure) -> None:
        leaving.tell()
        times.append(pacer.left_at[-1])

    while (slot := await pacer.slot()) < end:
        leaving = Departure(pacer)
        leaving.expect()
        loop.call_soon(leave, leaving)
        pacer.accepted(slot)
    return times


@pytest.mark.parametrize("each", [slots, departures], ids=["not told", "told"])
@pytest.mark.parametrize(
    ("rate", "seconds", "share"),
    [(20, 100, 0.98), (50, 60, 0.97), (200, 30, 0.97), (500, 20, 0.95)],
)
def test_a_larger_contract_is_used_on_a_busy_machine(each, rate, seconds, share):
    """
    What late timers cost is made up for, and still no rolling second holds one too many.
    """
    with asyncio.Runner(loop_factory=BusyLoop) as runner:
        times = runner.run(each(Pacer(rate), seconds))

    settled = [time for time in times if time > seconds / 2]
    assert rate >= most_in_a_second(times)
    assert len(settled) >= share * rate * seconds / 2


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("limit", "jitter", "goodput", "throttled"),
    [
        (Rolling, 0.0, 0.99, 0.0),
        (Rolling, 0.1, 0.90, 0.005),
        (Spike, 0.0, 0.99, 0.0),
        (Spike, 0.1, 0.65, 0.02),
        (CalendarSecond, 0.1, 0.94, 0.005),
        (Bucket, 0.1, 0.99, 0.0),
    ],
)
async def test_goodput_behind_every_rule_and_jitter(limit, jitter, goodput, throttled):
    """
    10,000 messages over a drifting line to a strict server: few are throttled, none is lost.
    """
    line = Line(jitter=jitter, admit=limit(5).admit)
    loop = asyncio.get_running_loop()
    async with SendQueue(line) as queue, queue.bulk(sms(str(n)) for n in range(10_000)) as reports:
        start = loop.time()
        errors = [report.error async for report in reports]

    assert [None] * 10_000 == errors
    assert 10_000 == len(set(line.accepted)) == len(line.accepted)
    assert goodput <= 10_000 / 5 / (loop.time() - start)
    assert throttled * len(line.left) >= line.throttled


class Straggling(Line):
    """A line that delays one request of a hundred by up to three seconds."""

    async def there(self):
        await asyncio.sleep(0.05 + self.chance.uniform(0.5, 3) * (self.chance.random() < 0.01))


@pytest.mark.no_cover
@pytest.mark.parametrize("limit", [Rolling, Spike])
async def test_stragglers_cost_no_pace(limit):
    """
    A request that comes late makes itself or its neighbour one too many, at any spacing.
    """
    line = Straggling(admit=limit(5).admit)
    loop = asyncio.get_running_loop()
    async with SendQueue(line) as queue, queue.bulk(sms(str(n)) for n in range(10_000)) as reports:
        start = loop.time()
        accepted = [report.resource_id async for report in reports]

    assert 10_000 == len(set(accepted))
    assert 0.97 <= 10_000 / 5 / (loop.time() - start)
    assert 0.012 * len(line.left) >= line.throttled


async def test_a_few_late_refusals_widen_nothing_and_many_do():
    """
    A server that takes its time to refuse is believed once it refuses often.
    """
    pacer, guards = Pacer(5), []
    for _ in range(20):
        pacer.accepted(await pacer.slot())
    start = pacer.guard
    for _ in range(6):
        slot = await pacer.slot()
        await asyncio.sleep(1)
        pacer.throttled(slot)
        guards.append(pacer.guard)

    assert [start] * 5 == guards[:5]
    assert start + 0.01 == pytest.approx(guards[5])


async def test_where_all_answers_are_slow_none_is_a_straggler():
    """
    A refusal that takes as long as every other answer widens from the first one on.
    """
    pacer, guards = Pacer(5), []
    for _ in range(3):
        slot = await pacer.slot()
        await asyncio.sleep(2)
        pacer.throttled(slot)
        guards.append(pacer.guard)

    assert [0.02, 0.03, 0.04] == pytest.approx(guards)


async def test_slots_are_apart_by_the_pace_whenever_it_changes():
    """
    Widening and narrowing never lets two slots come closer than the rate.
    """
    pacer, chance, last = Pacer(5), random.Random(1), -1.0
    for _ in range(2_000):
        slot = await pacer.slot()
        assert slot - last >= 0.2
        last = slot
        pacer.throttled(slot) if chance.random() < 0.1 else pacer.accepted(slot)


async def test_a_throttled_answer_holds_the_next_slot():
    """
    Nothing leaves for a quarter of a second after a refusal.
    """
    pacer = Pacer(5)
    slot = await pacer.slot()
    await asyncio.sleep(0.15)
    pacer.throttled(slot)

    assert (await pacer.slot()) - slot == pytest.approx(0.4, abs=0.01)


async def test_the_guard_widens_once_for_all_that_left_before_it():
    """
    Ten requests refused in one round trip are one reason to spread out, not ten.
    """
    pacer = Pacer(50)
    departures = [await pacer.slot() for _ in range(10)]
    for slot in departures:
        pacer.throttled(slot)

    assert 0.02 == pytest.approx(pacer.guard)
    pacer.throttled(await pacer.slot())
    assert 0.03 == pytest.approx(pacer.guard)


@pytest.mark.parametrize("opening", [0.15, 0.3, 0.6, 1.5])
@pytest.mark.parametrize("answer", [0.05, 0.42, 2.0])
async def test_opening_connections_makes_no_sixth(opening, answer):
    """
    What leaves late, with a connection of its own to open, keeps the others at their distance.
    """
    line = Connecting(opening, answer)
    async with SendQueue(line) as queue, queue.bulk(sms(str(n)) for n in range(60)) as reports:
        assert 60 == len([report async for report in reports])

    assert 5 >= most_in_a_second(line.departures)
    assert 60 / 5 + 4 * opening + answer + 1 > asyncio.get_running_loop().time()


class Connecting(Line):
    """A line whose requests open a connection where none is free, and tell when they leave."""

    def __init__(self, opening, answer):
        super().__init__(delay=answer)
        self.opening = opening
        self.free = 0
        self.departures = []

    async def attempt(self, message):
        leaving = departure.get()
        leaving.expect()
        if self.free:
            self.free -= 1
        else:
            await asyncio.sleep(self.opening)
        leaving.tell()
        self.departures.append(asyncio.get_running_loop().time())
        sent = await super().attempt(message)
        self.free += 1
        return sent


class SlowDisk(MemoryOutbox):
    """An outbox that takes a second to hand out a message."""

    async def claim(self, now):
        await asyncio.sleep(1.05)
        return await super().claim(now)


async def test_a_disk_that_stalls_makes_no_sixth():
    """
    What has had its slot and is still being written down counts for the queues beside it, too.
    """
    line = Connecting(opening=0, answer=0.05)
    async with SendQueue(line, outbox=SlowDisk()) as slow, SendQueue(line) as other:
        async with slow.bulk(map(sms, "abcde")) as a, other.bulk(map(sms, "f" * 40)) as b:
            assert 45 == len([report async for report in a] + [report async for report in b])

    assert 5 >= most_in_a_second(line.departures)


async def test_a_request_that_never_leaves_holds_nobody_up():
    """
    Its place in the second is free when it ends.
    """
    pacer = Pacer(5)
    for _ in range(5):
        await pacer.slot()
        Departure(pacer).expect()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(pacer.slot(), 10)
    pacer.leaving = 4

    assert await asyncio.wait_for(pacer.slot(), 1)


async def test_a_departure_is_counted_once():
    """
    A client that fails over to another attempts twice in one slot, and may tell of it later.
    """
    pacer = Pacer(5)
    leaving = Departure(pacer)
    leaving.expect()
    leaving.expect()
    leaving.over()
    leaving.expect()

    assert 0 == pacer.leaving


async def test_the_guard_falls_to_its_floor_and_no_further():
    """
    Success brings the pace back to almost the whole rate.
    """
    pacer = Pacer(5)
    slot = await pacer.slot()
    for _ in range(1_000):
        pacer.accepted(slot)

    assert 0.003 == pacer.guard
    assert 4.97 < pacer.pace < 5


async def test_two_queues_on_one_pacer_take_turns():
    """
    The limit holds for both together.
    """
    pacer = Pacer(5)
    both = await asyncio.gather(slots(pacer, 20), slots(pacer, 20))

    assert 5 >= most_in_a_second(both[0] + both[1])
    assert abs(len(both[0]) - len(both[1])) <= 2


def test_a_second_event_loop_keeps_its_distance_from_the_first():
    """
    Two `asyncio.run`s in a row, as command-line programs do, do not make a burst.
    """
    pacer = Pacer(5)
    times = []
    for _ in range(6):
        with asyncio.Runner() as runner:
            times.append(runner.run(pacer.slot()))

    assert 5 >= most_in_a_second(times)


async def late_departures(pacer: Pacer) -> list[float]:
    """All that had a slot leave at once, with the last one."""
    leaving = []
    for _ in range(5):
        await pacer.slot()
        leaving.append(Departure(pacer))
    for each in leaving:
        each.tell()
    return list(pacer.left_at)


@pytest.mark.parametrize(
    ("rate", "first"), [(5, late_departures), (500, partial(slots, seconds=1))]
)
def test_a_second_event_loop_knows_what_left_in_the_first(rate, first):
    """
    What left late or close together there counts here, until it is a second old.
    """
    pacer, clock, times = Pacer(rate), JumpingClock(), []
    for each in (first, partial(slots, seconds=2)):
        with asyncio.Runner(loop_factory=clock) as runner:
            times += runner.run(each(pacer))

    assert len(times) > rate
    assert rate >= most_in_a_second(times)


async def test_no_pace_at_all():
    """
    An infinite rate waits for nothing, and says so.
    """
    pacer = Pacer(math.inf)
    start = asyncio.get_running_loop().time()
    for _ in range(100):
        await pacer.slot()

    assert 0 == pytest.approx(asyncio.get_running_loop().time() - start, abs=1e-3)
    assert math.inf == pacer.pace


@pytest.mark.parametrize("rate", [0, -1, math.nan])
def test_a_rate_is_above_zero(rate):
    """
    A pace that never sends is a mistake, found at once.
    """
    with pytest.raises(ValueError, match="rate"):
        Pacer(rate)


@pytest.mark.parametrize(("told", "taken"), [(0.05, 0.05), (0.0, 0.003), (9.0, 0.6)])
def test_a_guard_that_others_learned_is_taken_over_within_bounds(told, taken):
    pacer = Pacer(5)
    pacer.guard = told

    assert taken == pacer.guard


def test_an_account_has_one_rate_while_someone_holds_its_pacer():
    """
    Another rate is refused, with both; afterwards it may have another.
    """
    pacer = of_account("an account", 5)
    with pytest.raises(ValueError, match="paced at 5 a second already, not 7"):
        of_account("an account", 7)
    held: list[object] = [pacer]
    held.append(held)  # it goes only when garbage is collected
    del pacer, held

    assert 7 == of_account("an account", 7).rate


@pytest.mark.parametrize("another", [5, math.inf])
def test_clients_of_one_account_have_one_rate(another):
    """
    Whoever makes the second is told.
    """
    first = Client(ClientCredentials("id", "secret"), rate=20)
    with pytest.raises(ValueError, match="paced at 20 a second already"):
        Client(ClientCredentials("id", "secret"), rate=another)

    assert 20 == first.pacer.rate
