"""What outboxes answer where there is nothing to tell, or nothing to change."""

import pytest
from disk import MONTH, begin
from line import Line, named
from receipt import receipt

from orange_sms_async import SendQueue, SqliteOutbox
from orange_sms_async.outbox.memory import MemoryOutbox


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


async def test_nobody_else_is_there():
    """
    An outbox in memory has one process: no news, no other holder, no receipts.
    """
    outbox = MemoryOutbox()

    assert (True, None) == (await outbox.take_turn(0.0), await outbox.holder(0.0))
    assert (False, []) == (outbox.changed(), await outbox.news(()))
    assert await outbox.keep(receipt("id"), 0.0) is None
    assert [] == await outbox.resolve("a", None, 0.0)
    assert [] == await outbox.delivery(0.0, 0.0)


async def test_the_turn_is_had_once(path):
    """
    Who has it and asks again still has it, and another of the same file does not.
    """
    outbox, other = SqliteOutbox(path), SqliteOutbox(path)
    await begin(outbox, 0.0, MONTH)
    await other.open(0.0, MONTH)
    turns = await outbox.take_turn(0.0), await other.take_turn(0.0)
    await other.aclose()
    await outbox.aclose()

    assert (True, False) == turns
