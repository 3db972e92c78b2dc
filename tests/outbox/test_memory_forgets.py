"""A queue in memory is asked what only a durable outbox could know."""

import pytest
from line import Line, named
from receipt import receipt

from orange_sms_async import SendQueue


async def test_what_was_sent_is_forgotten():
    """
    It says so.
    """
    async with SendQueue(Line()) as queue:
        sent = await queue.send(named("a"))

        with pytest.raises(RuntimeError, match="receipts need a durable outbox"):
            await queue.delivery_summary()
        with pytest.raises(RuntimeError, match="receipts need a durable outbox"):
            await queue.keep(receipt(sent))
