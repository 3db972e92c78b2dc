"""The whole, over real HTTP: client, queue and sandbox, with faults on the line."""

import asyncio
from collections import Counter

import httpx
import pytest
from line import sms

from orange_sms_async import (
    Client,
    ClientCredentials,
    ConnectionFailed,
    ContractRefused,
    NotSent,
    OutcomeUnknown,
    RequestRejected,
    SendQueue,
)
from orange_sms_async._served import Served
from orange_sms_async.sandbox import Sandbox

pytestmark = pytest.mark.real_time


@pytest.fixture
def sandbox():
    return Sandbox(rate=None)


@pytest.fixture
def served(sandbox):
    with Served(sandbox) as server:
        yield server


@pytest.fixture(params=["httpx", "httpx2", "aiohttp"])
async def client(request, sandbox, served):
    credentials = ClientCredentials.from_header(sandbox.authorization)
    settings = {"base_url": served.base_url, "timeout": 1.0, "engine": request.param}
    async with Client(credentials, **settings) as client:
        yield client


def posts(sandbox):
    return [request for request in sandbox.requests if request.path.endswith("/requests")]


async def test_many_sends_at_once_share_one_token(client, sandbox):
    """
    One token request; when the token dies, one more, however many were refused with it.
    """
    messages = [sms(str(n)) for n in range(300)]
    client.timeout = 30.0
    await asyncio.gather(*map(client.send, messages))
    assert 1 == sandbox.statistics().token_requests

    sandbox.expire_tokens()
    await asyncio.gather(*map(client.send, messages))
    assert 2 == sandbox.statistics().token_requests
    assert Counter({str(n): 2 for n in range(300)}) == Counter(sent.text for sent in sandbox.sent)


FAULTS = {
    "drop": (lambda s: s.drop_next(), True),
    "drop untaken": (lambda s: s.drop_next(taken=False), False),
    "hang": (lambda s: s.hang_next(), True),
    "500": (lambda s: s.fail_next(500, code=1, taken=True), True),
    "502": (lambda s: s.fail_next(502, code=1), False),
    "504": (lambda s: s.fail_next(504, code=6, taken=True), True),
    "bare 503": (lambda s: s.fail_next(503), False),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_no_clear_answer_is_one_post_and_an_unknown_outcome(client, sandbox, fault):
    """
    Whether Orange took it or not, the queue does not post it a second time.
    """
    break_it, taken = FAULTS[fault]
    async with SendQueue(client) as queue:
        break_it(sandbox)
        with pytest.raises(OutcomeUnknown):
            await queue.send(sms("fragile"))
        await queue.send(sms("next"))

    assert 2 == len(posts(sandbox))
    assert (["fragile"] if taken else []) + ["next"] == [sent.text for sent in sandbox.sent]


async def test_over_capacity_is_tried_again(client, sandbox):
    """
    503 with code 6 was not taken: the queue sends it again, and it is sent once.
    """
    sandbox.fail_next(503, code=6)
    async with SendQueue(client) as queue:
        await queue.send(sms("patient"))

    assert 2 == len(posts(sandbox))
    assert ["patient"] == [sent.text for sent in sandbox.sent]


async def test_refusals_name_their_reason(client, sandbox):
    """
    An expired contract and an unapproved sender name fail their own messages.
    """
    sandbox.account.expire("CIV", "SMS_OCB")
    async with SendQueue(client) as queue:
        with pytest.raises(ContractRefused, match="Expired contract") as refused:
            await queue.send(sms())
        sandbox.account.buy("CIV", 100)
        with pytest.raises(RequestRejected):
            await queue.send(sms(sender_name="Inconnu"))
        await queue.send(sms(sender_name="MonService"))

    assert "Expired contract" == refused.value.reason
    assert refused.value.request_id


async def test_a_server_that_dies_and_comes_back(sandbox, served):
    """
    What could not leave waits; nothing is lost, nothing doubled.
    """
    port = served.socket.getsockname()[1]
    credentials = ClientCredentials.from_header(sandbox.authorization)
    async with Client(credentials, base_url=served.base_url, rate=200) as client:
        async with SendQueue(client) as queue:
            await queue.send(sms("before"))
            served.__exit__(None, None, None)
            futures = [await queue.submit(sms(str(n))) for n in range(20)]
            await asyncio.sleep(0.2)
            with Served(sandbox, port):
                results = await asyncio.gather(*futures, return_exceptions=True)

    sent = Counter(sent.text for sent in sandbox.sent)
    ids = {sent.resource_id for sent in sandbox.sent}
    assert {1} == set(sent.values())
    assert all(result in ids or isinstance(result, OutcomeUnknown) for result in results)


async def test_nobody_listens(sandbox):
    """
    A refused connection never left this machine: trying again is safe.
    """
    with Served(sandbox) as gone:
        url = gone.base_url
    async with Client(ClientCredentials("a", "b"), base_url=url) as client:
        with pytest.raises(ConnectionFailed) as failed:
            await client.send(sms())

    assert isinstance(failed.value, NotSent)
    assert isinstance(failed.value.__cause__, httpx.ConnectError)


async def test_at_a_hundred_a_second_against_a_strict_server():
    """
    The limit is enforced by the other side: every message is accepted exactly once.
    """
    sandbox = Sandbox(rate=100)
    with Served(sandbox) as served:
        credentials = ClientCredentials.from_header(sandbox.authorization)
        async with Client(credentials, base_url=served.base_url, rate=100) as client:
            async with SendQueue(client) as queue:
                async with queue.bulk(sms(str(n)) for n in range(200)) as reports:
                    errors = [report.error async for report in reports]

    assert [None] * 200 == errors
    assert Counter(str(n) for n in range(200)) == Counter(sent.text for sent in sandbox.sent)


async def test_in_process_the_sandbox_is_a_transport(sandbox):
    """
    The second door: no socket, the same answers.
    """
    credentials = ClientCredentials.from_header(sandbox.authorization)
    async with Client(credentials, transport=sandbox.transport) as client:
        sent = await client.send(sms("dedans", on_net=True))
        [order, *_] = await client.purchase_orders(country="CIV")
        [contract] = [
            c for c in await client.contracts(country="CIV") if c.offer_name == "SMS_OCB2"
        ]
        statistics = await client.statistics(country="CIV")

    assert sandbox.sent[0].resource_id == sent.resource_id
    assert ("CIV", "ACTIVE") == (contract.country, contract.status)
    assert "CIV" == order.country
    assert 1 == sum(row.nb_enforcements for row in statistics)
