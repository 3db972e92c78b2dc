"""The clock that jumps."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from orange_sms_async.clock import JumpingClock


@pytest.fixture
def clock():
    return JumpingClock()


def test_an_hour_takes_no_time(clock):
    """
    With nothing left to run, time moves to the next timer.
    """
    with asyncio.Runner(loop_factory=clock) as runner:
        runner.run(asyncio.sleep(3600))

    assert 3600 == pytest.approx(clock.time())


def test_the_next_loop_goes_on(clock):
    """
    A service that is started again finds the time it stopped at.
    """
    for _ in range(2):
        with asyncio.Runner(loop_factory=clock) as runner:
            runner.run(asyncio.sleep(60))

    assert 120 == pytest.approx(clock.time())


def test_it_waits_for_executors(clock):
    """
    What a thread of the loop does takes no time, however long it takes.
    """

    async def work():
        async with asyncio.timeout(0.001):
            await asyncio.to_thread(time.sleep, 0.05)

    with asyncio.Runner(loop_factory=clock) as runner:
        runner.run(work())

    assert 0 == pytest.approx(clock.time(), abs=0.01)


def test_an_executor_that_is_shut_down_stops_nothing(clock):
    """
    Nothing was started in it, so that there is nothing to wait for.
    """
    executor = ThreadPoolExecutor(1)
    executor.shutdown()

    async def work():
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop().run_in_executor(executor, print)
        await asyncio.sleep(1)

    with asyncio.Runner(loop_factory=clock) as runner:
        runner.run(work())

    assert 1 == pytest.approx(clock.time())


@pytest.mark.parametrize("days", [0, 1, 365 * 30])
def test_it_never_stands_still(clock, days):
    """
    Who waits for a moment that rounding swallows looks again, and finds it has come.
    """
    clock.jump(days * 86400.0)

    assert clock.time() < clock.time()
