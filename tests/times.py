"""The time on the loop, and dates on the clock of a queue."""

import asyncio
from datetime import UTC, datetime

from orange_sms_async import SendQueue


def now():
    return asyncio.get_running_loop().time()


def later(queue: SendQueue, seconds: float) -> datetime:
    """A date on the queue's clock, which jumps with the loop's."""
    return datetime.fromtimestamp(queue._now() + seconds, UTC)
