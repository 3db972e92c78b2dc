"""Times of day where messages go to, on a clock that jumps."""

import asyncio
from datetime import datetime
from zoneinfo import ZoneInfo

from orange_sms_async.clock import JumpingLoop

DOUALA = ZoneInfo("Africa/Douala")


def set_clock(date: str, zone: ZoneInfo = DOUALA) -> None:
    """Have it be "2026-11-26 21:00" there."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, JumpingLoop)
    loop._clock.step(at(date, zone).timestamp() - loop.wall_time())


def at(date: str, zone: ZoneInfo = DOUALA) -> datetime:
    return datetime.fromisoformat(date).replace(tzinfo=zone)


def clock(zone: ZoneInfo = DOUALA) -> str:
    """Tell what time of day it is there."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, JumpingLoop)
    return f"{datetime.fromtimestamp(loop.wall_time(), zone):%H:%M}"
