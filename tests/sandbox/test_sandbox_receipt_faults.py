"""What becomes of receipts that do not simply come."""

import asyncio
import json
import math

import httpx
import pytest

from orange_sms_async.sandbox import ReceiptFaults, Sandbox

URL = "https://example.org/receipts"


class Endpoint(httpx.MockTransport):
    """Keeps when each receipt came, and what it said."""

    def __init__(self):
        super().__init__(self.answer)
        self.got = []

    def answer(self, request):
        information = json.loads(request.content)["deliveryInfoNotification"]["deliveryInfo"]
        self.got.append((asyncio.get_running_loop().time(), information["deliveryStatus"]))
        return httpx.Response(200, text="merci")

    @property
    def said(self):
        return [status for _, status in self.got]


@pytest.fixture
def endpoint():
    return Endpoint()


@pytest.fixture
def sandbox(endpoint):
    return Sandbox(rate=None, receipt_url=URL, receipt_delay=1, receipt_transport=endpoint, seed=3)


async def test_doubled(sandbox, endpoint, client, send):
    """
    The same, twice.
    """
    sandbox.receipt_faults = ReceiptFaults(doubled=1)
    await send(client)
    await asyncio.sleep(2)

    assert ["DeliveredToTerminal", "DeliveredToTerminal"] == endpoint.said


async def test_reordered(sandbox, endpoint, client, send):
    """
    The last word comes first, and then one that is not final.
    """
    sandbox.receipt_faults = ReceiptFaults(reordered=1)
    await send(client, address="tel:+2250701020399")
    await asyncio.sleep(3)

    assert ["DeliveryImpossible", "MessageWaiting"] == endpoint.said


async def test_lost(sandbox, endpoint, client, send):
    """
    Half of them, of a hundred.
    """
    sandbox.receipt_faults = ReceiptFaults(lost=0.5)
    for _ in range(100):
        await send(client)
    await asyncio.sleep(2)

    assert 30 < len(endpoint.got) < 70


async def test_late(sandbox, endpoint, client, send):
    """
    So many seconds after it was due.
    """
    sandbox.receipt_faults = ReceiptFaults(late=1, late_by=600)
    start = asyncio.get_running_loop().time()
    await send(client)
    await asyncio.sleep(700)

    assert [601] == [pytest.approx(at - start, abs=0.1) for at, _ in endpoint.got]


async def test_before_the_answer(sandbox, endpoint, client, send):
    """
    The endpoint has dealt with it when the sender reads the 201; what follows comes as ever.
    """

    async def slowly(request):
        await asyncio.sleep(0.5)
        return endpoint.answer(request)

    endpoint.handler = slowly
    sandbox.receipt_faults = ReceiptFaults(before_answer=1)
    await send(client, address="tel:+2250701020397")
    at_once = endpoint.said
    await asyncio.sleep(2)

    assert ["MessageWaiting"] == at_once
    assert ["MessageWaiting", "DeliveredToTerminal"] == endpoint.said


async def test_an_unknown_status(sandbox, endpoint, client, send):
    """
    Orange has five, and nobody promised that there will be no sixth.
    """
    sandbox.receipt_faults = ReceiptFaults(status="EatenByAGoat")
    await send(client)
    await asyncio.sleep(2)

    assert ["EatenByAGoat"] == endpoint.said


@pytest.mark.parametrize(
    "wrong", [{"lost": 1.1}, {"late": -0.1}, {"late_by": -1}, {"late_by": math.inf}]
)
def test_shares_are_shares(wrong):
    """
    From 0 to 1; and seconds are finite.
    """
    with pytest.raises(ValueError, match=r"must be"):
        ReceiptFaults(**wrong)


async def test_a_message_shows_its_receipts(sandbox, client, send, control):
    """
    What was posted, when, and what the endpoint said to it.
    """
    await send(client)
    await asyncio.sleep(2)
    shown = (await control("GET", f"messages/{sandbox.sent[0].resource_id}")).json()
    (receipt,) = shown["receipts"]

    assert "DeliveredToTerminal" == shown["status"] == receipt["status"]
    assert (200, "merci", None) == (receipt["answer"], receipt["answer_body"], receipt["error"])
    assert sandbox.sent[0].resource_id in receipt["body"]


async def test_a_receipt_is_delivered_from_the_page(sandbox, endpoint, client, send, control):
    """
    At once, whatever it says.
    """
    await send(client)
    body = {"resource_id": sandbox.sent[0].resource_id, "status": "DeliveryUncertain"}
    answer = await control("POST", "deliver", body)
    unknown = await control("POST", "deliver", {"resource_id": "81e4296d"})

    assert ["DeliveryUncertain"] == endpoint.said
    assert {"answer": 200, "error": None} == answer.json()
    assert 404 == unknown.status_code


async def test_an_endpoint_that_answers_at_length(client, send, sandbox):
    """
    The beginning of a book is enough, and a reader who is told no end does not wait for it.
    """

    async def book():
        while True:
            yield b"a" * 1_000

    answer = httpx.Response(500, content=book())
    sandbox.receipt_transport.handler = lambda _: answer
    await send(client)
    await asyncio.sleep(2)
    (receipt,) = sandbox.receipts

    assert (500, 4_096) == (receipt.answer, len(receipt.answer_body))


async def test_an_endpoint_that_never_answers(client, send, sandbox):
    """
    It is given up on, and others are not kept waiting by it for ever.
    """

    async def hang(_):
        await asyncio.Event().wait()

    sandbox.receipt_transport.handler = hang
    for _ in range(20):  # more than there are lines
        await send(client)
    await asyncio.sleep(25)

    assert ["TimeoutError"] * 20 == [receipt.error for receipt in sandbox.receipts]
