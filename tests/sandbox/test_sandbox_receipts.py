"""Receipts, which fire by themselves."""

import asyncio
import json

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from orange_sms_async.sandbox import Sandbox

URL = "https://example.org/receipts"


class Endpoint(httpx.MockTransport):
    """Somebody's receipt endpoint: keeps what it gets and answers as told."""

    def __init__(self):
        super().__init__(self.answer)
        self.got = []
        self.status = 200

    def answer(self, request):
        if self.status is None:
            raise httpx.ConnectError("nobody there")
        self.got.append(json.loads(request.content)["deliveryInfoNotification"])
        return httpx.Response(self.status)


@pytest.fixture
def endpoint():
    return Endpoint()


@pytest.fixture
def sandbox(endpoint):
    return Sandbox(rate=None, receipt_url=URL, receipt_delay=0, receipt_transport=endpoint)


async def posted(sandbox, count=1):
    async with asyncio.timeout(5):
        while len(sandbox.receipts) < count:  # noqa: ASYNC110 -- also from another thread
            await asyncio.sleep(0.001)
    return sandbox.receipts


async def test_a_receipt_has_oranges_form(sandbox, endpoint, client, send):
    """
    It names the message by its resource id.
    """
    await send(client)
    (receipt,) = await posted(sandbox)

    assert [
        {
            "callbackData": sandbox.sent[0].resource_id,
            "deliveryInfo": {
                "address": "tel:+2250701020304",
                "deliveryStatus": "DeliveredToTerminal",
            },
        }
    ] == endpoint.got
    assert (200, None) == (receipt.answer, receipt.error)


@pytest.mark.parametrize(
    ("ending", "statuses"),
    [
        ("99", ["DeliveryImpossible"]),
        ("98", ["DeliveryUncertain"]),
        ("97", ["MessageWaiting", "DeliveredToTerminal"]),
    ],
)
async def test_the_number_says_what_becomes_of_it(sandbox, client, send, ending, statuses):
    """
    The last two digits decide.
    """
    await send(client, address=f"tel:+22507010203{ending}")
    receipts = await posted(sandbox, len(statuses))

    assert statuses == [receipt.status for receipt in receipts]
    assert statuses[-1] == sandbox.sent[0].status


@pytest.mark.parametrize(
    ("status", "recorded"), [(500, (500, None)), (None, (None, "ConnectError"))]
)
async def test_an_endpoint_that_fails_is_recorded(sandbox, client, send, status, recorded):
    """
    Its trouble is evidence, and no trouble of Orange's.
    """
    sandbox.receipt_transport.status = status
    await send(client)
    (receipt,) = await posted(sandbox)

    assert recorded == (receipt.answer, receipt.error)
    assert 1 == sandbox.statistics().receipts_undelivered


async def test_no_receipt_without_a_message(sandbox, endpoint, client, send):
    """
    What was refused has none.
    """
    await send(client, senderName="No")
    await asyncio.sleep(0.01)

    assert [] == endpoint.got


async def test_a_receipt_can_overtake_the_answer(sandbox, client, send):
    """
    It comes before the sender has read the 201, if that travels.
    """
    sandbox.latency = 0.05
    sending = asyncio.create_task(send(client))
    await posted(sandbox)

    assert not sending.done()
    assert 201 == (await sending).status_code


async def test_closing_ends_what_is_on_its_way(sandbox, client, send):
    """
    A receipt of tomorrow is not waited for.
    """
    sandbox.receipt_delay = 86_400
    await send(client)
    await sandbox.aclose()

    assert not sandbox._orange.tasks
    assert [] == sandbox.receipts


@pytest.mark.real_time
async def test_receipts_over_sockets(connect, send, serve):
    """
    From one server to another; the lifespan of the first ends what it still has to post.
    """
    got = []

    async def receive(request):
        got.append(await request.json())
        return Response()

    receiver = Starlette(routes=[Route("/dr", receive, methods=["POST"])])
    with serve(receiver) as theirs:
        sandbox = Sandbox(receipt_url=f"{theirs.base_url}/dr", receipt_delay=0)
        with serve(sandbox) as ours:
            await send(await connect(sandbox, ours.base_url))
            (receipt,) = await posted(sandbox)
            sandbox.receipt_delay = 60
            await send(await connect(sandbox, ours.base_url))

    assert 200 == receipt.answer
    assert sandbox.sent[0].resource_id == got[0]["deliveryInfoNotification"]["callbackData"]
    assert not sandbox._orange.tasks


def test_one_client_for_each_loop(endpoint):
    """
    A sandbox outlives its event loop; the connections of the receipts do not.
    """
    notifier = Sandbox(receipt_url=URL, receipt_transport=endpoint)._orange.notifier

    async def connected():
        lines = notifier.endpoint.connected(), notifier.endpoint.connected()
        await notifier.endpoint.aclose()
        return lines

    first, second = asyncio.run(connected()), asyncio.run(connected())

    assert first[0] is first[1] is not second[0]
    assert not notifier.endpoint._lines


async def test_a_receipt_by_hand(sandbox, endpoint, client, send):
    """
    It says what it is told to, at once, and comes back with the endpoint's answer.
    """
    sandbox.receipt_delay = 86_400
    await send(client)
    receipt = await sandbox.deliver(sandbox.sent[0].resource_id, "Eaten")

    assert "Eaten" == endpoint.got[0]["deliveryInfo"]["deliveryStatus"]
    assert 200 == receipt.answer
    assert [receipt] == sandbox.receipts
    await sandbox.aclose()


async def test_no_receipt_by_hand_for_nobody(sandbox):
    """
    A message Orange does not remember, or nowhere to post to.
    """
    with pytest.raises(KeyError):
        await sandbox.deliver("81e4296d")
    with pytest.raises(ValueError, match="receipt_url"):
        await Sandbox().deliver("81e4296d")
