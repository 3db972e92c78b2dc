"""Many time limits, one timer."""

import asyncio

import pytest

from orange_sms_async.deadlines import Deadlines, Limit


@pytest.fixture
async def deadlines():
    return Deadlines()


async def lasting(deadlines, seconds, limit):
    """How long a block took that was to last so long."""
    began, how = asyncio.get_running_loop().time(), "ended"
    try:
        with Limit(deadlines, limit):
            await asyncio.sleep(seconds)
    except TimeoutError:
        how = "cut"
    return how, round(asyncio.get_running_loop().time() - began, 3)


async def test_each_block_has_its_time(deadlines):
    """
    Those that end in time are not cut, whatever became of the others.
    """
    blocks = [(9, 10), (11, 10), (3, 2), (1, 2), (50, 40), (0, 10)]
    lasted = await asyncio.gather(*(lasting(deadlines, *block) for block in blocks))

    assert lasted == [
        ("ended", 9),
        ("cut", 10),
        ("cut", 2),
        ("ended", 1),
        ("cut", 40),
        ("ended", 0),
    ]
    assert not deadlines.limits


async def test_later_blocks_are_cut_in_time_as_well(deadlines):
    """
    The timer of the first goes on to the next.
    """
    for seconds in (4, 12, 4, 12):
        how, lasted = await lasting(deadlines, seconds, 10)

        assert (how, lasted) == (("ended", 4) if seconds == 4 else ("cut", 10))


async def test_a_task_can_go_on_after_its_block_was_cut(deadlines):
    """
    It counts as not cancelled.
    """
    await lasting(deadlines, 2, 1)
    task = asyncio.current_task()

    assert 0 == task.cancelling()
    assert ("ended", 5) == await lasting(deadlines, 5, 10)


async def test_a_cancellation_at_the_same_time_is_not_swallowed(deadlines):
    """
    Whoever cancels the task learns that it was cancelled.
    """
    task = asyncio.create_task(lasting(deadlines, 20, 10))
    asyncio.get_running_loop().call_later(10, task.cancel)

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_one_block_within_another(deadlines):
    """
    The outer one cuts the inner one.
    """
    with pytest.raises(TimeoutError):
        with Limit(deadlines, 5):
            await lasting(deadlines, 20, 10)

    assert ("cut", 10) == await lasting(deadlines, 20, 10)


async def test_a_thousand_blocks_need_one_timer(deadlines):
    """
    That is why it exists.
    """
    blocks = [asyncio.create_task(lasting(deadlines, 1, 10)) for _ in range(1000)]
    await asyncio.sleep(0.5)
    timers = [timer for timer in asyncio.get_running_loop()._scheduled if "_look" in repr(timer)]  # type: ignore[attr-defined]
    await asyncio.gather(*blocks)

    assert 1 == len(timers)
