"""What is remembered is bounded, and what is counted is not."""

import asyncio

import httpx
import pytest

from orange_sms_async.sandbox import Sandbox


@pytest.fixture
def sandbox():
    endpoint = httpx.MockTransport(lambda _: httpx.Response(200))
    return Sandbox(rate=None, keep=5, receipt_url="https://example.org", receipt_transport=endpoint)


async def test_the_last_ones_are_remembered(sandbox, client, send, control):
    """
    Messages, requests and receipts; statistics count them all.
    """
    for number in range(12):
        await send(client, str(number))
        await asyncio.sleep(2)
    counted = sandbox.statistics()
    shown = (await control("GET", "messages")).json()["messages"]

    assert ["7", "8", "9", "10", "11"] == [sent.text for sent in sandbox.sent]
    assert [12, 11, 10, 9, 8] == [message["number"] for message in shown]
    assert (5, 5) == (len(sandbox.requests), len(sandbox.receipts))
    assert (12, 13, 12) == (counted.accepted, counted.requests, counted.receipts_delivered)


async def test_what_is_forgotten_is_not_found(sandbox, client, send, control):
    """
    Neither by its page nor by a receipt by hand.
    """
    await send(client)
    first = sandbox.sent[0].resource_id
    for _ in range(5):
        await send(client)

    assert 404 == (await control("GET", f"messages/{first}")).status_code
    with pytest.raises(KeyError):
        await sandbox.deliver(first)


async def test_receipts_that_wait_are_bounded(sandbox, client, send):
    """
    Those of tomorrow, too: more than are remembered are lost.
    """
    sandbox.receipt_delay = 86_400
    for _ in range(12):
        await send(client)

    assert 5 == len(sandbox._orange.tasks)
    await sandbox.aclose()


async def test_receipts_of_one_message_are_bounded(sandbox, client, send, control):
    """
    The last twenty say enough.
    """
    await send(client)
    resource_id = sandbox.sent[0].resource_id
    for number in range(25):
        await sandbox.deliver(resource_id, str(number))
    receipts = (await control("GET", f"messages/{resource_id}")).json()["receipts"]

    assert [str(number) for number in range(5, 25)] == [one["status"] for one in receipts]
    await sandbox.aclose()


async def test_tokens_are_bounded(sandbox, client):
    """
    A program that fetches one for each message does not fill the memory of its Orange.
    """
    for _ in range(1_100):
        sandbox.tokens._issue(0, 3_600)

    assert 1_000 == len(sandbox.tokens.newest_first)


def test_purchase_orders_are_bounded(sandbox):
    """
    The newest two hundred.
    """
    for _ in range(300):
        sandbox.account.buy("CIV", 1)

    assert 200 == len(sandbox.account.purchase_orders)
