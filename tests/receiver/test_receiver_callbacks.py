"""What is posted is kept, answered and handed over, in this order."""

import asyncio
from typing import Any

import pytest
from post import RECEIPT, REPLY, Failing, Post

from orange_sms_async import DeliveryReceipt, InboundMessage
from orange_sms_async.receiver import ReceiptReceiver, ReceiverStatistics


@pytest.mark.parametrize("name", ["on_receipt", "on_inbound"])
@pytest.mark.parametrize("is_async", [False, True])
async def test_what_is_posted_is_handed_over(heard, name, is_async):
    """
    A receipt and a reply each to its own callback, be that a function or a coroutine function.
    """

    async def later(posted):
        await asyncio.sleep(1)
        heard.append(posted)

    callbacks: dict[str, Any] = {"on_receipt": lambda _: None, "on_inbound": lambda _: None}
    callbacks[name] = later if is_async else heard.append
    receiver = ReceiptReceiver(**callbacks)

    assert [200, 200] == [await Post(body).to(receiver) for body in (RECEIPT, REPLY)]
    assert [DeliveryReceipt if name == "on_receipt" else InboundMessage] == [*map(type, heard)]
    assert ReceiverStatistics(receipts=1, replies=1) == receiver.statistics()


async def test_kept_then_answered_then_handed_over():
    """
    In this order and in one call; for a duplicate too.
    """
    order: list[object] = []

    class Store:
        async def keep(self, receipt):
            order.append(("kept", receipt.resource_id[:4]))

    class Ordered(Post):
        async def send(self, message):
            order.append(message["type"])
            await super().send(message)

    receiver = ReceiptReceiver(lambda receipt: order.append(receipt.status), store=Store())
    answers = [await Ordered().to(receiver), await Ordered().to(receiver)]

    once = [("kept", "81e4"), "http.response.start", "http.response.body", "DeliveredToTerminal"]
    assert [200, 200] == answers
    assert once * 2 == order


async def test_a_reply_without_anybody_to_hear_it():
    """
    Is answered 200 and counted; a store is for receipts only.
    """
    receiver = ReceiptReceiver(lambda _: None, store=Failing())

    assert 200 == await Post(REPLY).to(receiver)
    assert ReceiverStatistics(replies=1) == receiver.statistics()


async def test_a_store_that_fails(heard, caplog):
    """
    503, so that Orange may post it again; nobody is told of a receipt that is not safe.
    """
    receiver = ReceiptReceiver(heard.append, store=Failing())

    assert 503 == await Post().to(receiver)
    assert [] == heard
    assert ["a receipt could not be kept: OSError"] == caplog.messages
    assert ReceiverStatistics(not_kept=1) == receiver.statistics()


@pytest.mark.parametrize("callback", [Failing(), Failing().later])
async def test_a_callback_that_fails(caplog, callback):
    """
    Is ours to log, by class name only, and not Orange's to hear.
    """
    receiver = ReceiptReceiver(callback, callback)

    assert [200, 200] == [await Post(body).to(receiver) for body in (RECEIPT, REPLY)]
    assert ["on_receipt raised LookupError", "on_inbound raised LookupError"] == caplog.messages
    assert not any(record.exc_info for record in caplog.records)
    assert 2 == receiver.statistics().failed_callbacks


async def test_nobody_is_there_for_the_answer(receiver, heard):
    """
    The receipt is handed over all the same.
    """

    class Gone(Post):
        async def send(self, message):
            raise OSError

    await Gone().to(receiver)

    assert 1 == len(heard)
