"""The time on the loop, and dates on the clock of a queue."""

import asyncio
from datetime import UTC, datetime

from orange_sms_async import SendQueue
from orange_sms_async.clock import JumpingLoop


def now() -> float:
    return asyncio.get_running_loop().time()


def later(queue: SendQueue, seconds: float) -> datetime:
    """A date on the queue's clock, which jumps with the loop's."""
    return datetime.fromtimestamp(queue._now() + seconds, UTC)


async def emptied(queue: SendQueue) -> None:
    """Wait until nothing waits in the queue's outbox or is on the wire, whoever submitted it."""
    while sum((seen := queue.statistics()).waiting.values()) or seen.in_flight:  # noqa: ASYNC110 -- the clock jumps
        await asyncio.sleep(0.1)


async def pass_at_once(seconds: float) -> None:
    """Let time pass without what happens in between, ten times a second for days."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, JumpingLoop)
    loop._clock.jump(seconds)
    await asyncio.sleep(0.1)
