"""What goes wrong when it was said to, in process and over a socket."""

import asyncio

import anyio
import httpx
import pytest

from orange_sms_async.sandbox import Sandbox


@pytest.fixture(params=["in process", "uvicorn"])
async def reached(request, sandbox, connect, serve):
    """A client of the sandbox by either door."""
    if request.param == "in process":
        yield await connect(sandbox, transport=sandbox.transport)
        return
    with serve(sandbox) as served:
        client = await connect(sandbox, served.base_url)
        yield client
        await client.aclose()


async def test_a_gateway_error(sandbox, client, send):
    """
    As often as said, then no more; nothing was taken meanwhile.
    """
    sandbox.fail_next(503, code=6, times=2)
    answers = [await send(client) for _ in range(3)]

    assert [503, 503, 201] == [answer.status_code for answer in answers]
    assert ["code", "message", "description"] == list(answers[0].json())
    assert (1, 2) == (sandbox.statistics().accepted, sandbox.statistics().failed)


async def test_a_backend_error(sandbox, client, send):
    """
    A policy exception, whose variable is the reason.
    """
    sandbox.fail_next(403, message_id="POL0001", variable="Expired contract")
    sandbox.fail_next(400, message_id="SVC0001")
    policy, service = [(await send(client)).json()["requestError"] for _ in range(2)]

    assert ["Expired contract"] == policy["policyException"]["variables"]
    assert [] == service["serviceException"]["variables"]


@pytest.mark.parametrize(
    ("body", "media_type"), [("", None), ("<h1>Bad gateway</h1>", "text/html; charset=utf-8")]
)
async def test_no_envelope(sandbox, client, send, body, media_type):
    """
    A bare status, or a page of a proxy.
    """
    sandbox.fail_next(502, body=body)
    answer = await send(client)

    assert (502, body) == (answer.status_code, answer.text)
    assert media_type == answer.headers.get("content-type")


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ({"status": 401, "error": "invalid_client"}, "invalid_client"),
        ({"status": 400, "error": "invalid_request", "message": "No"}, "invalid_request"),
    ],
)
async def test_a_token_error(sandbox, client, fault, seen):
    """
    The token endpoint has faults of its own.
    """
    sandbox.fail_next(**fault, on="token")
    answer = await client.post("/oauth/v3/token")

    assert (fault["status"], seen) == (answer.status_code, answer.json()["error"])


async def test_faults_wait_for_their_kind(sandbox, client, send):
    """
    What is to happen to the account does not happen to messages.
    """
    sandbox.fail_next(500, code=1, message="Boom", on="account")
    sent, contracts = await send(client), await client.get("/sms/admin/v1/contracts")

    assert (201, 500) == (sent.status_code, contracts.status_code)
    assert "Boom" == contracts.json()["message"]


async def test_an_unknown_code(sandbox, client, send):
    """
    A code Orange does not document can come too.
    """
    sandbox.fail_next(418, code=99)
    answer = await send(client)

    assert (418, 99) == (answer.status_code, answer.json()["code"])


async def test_taken_and_yet_failed(sandbox, client, send):
    """
    The message is taken, and its answer is an error; one that is refused keeps the fault waiting.
    """
    sandbox.fail_next(500, taken=True)
    answers = [await send(client, senderName="No"), await send(client), await send(client)]

    assert [400, 500, 201] == [answer.status_code for answer in answers]
    assert 2 == len(sandbox.sent)


async def test_an_unreadable_success(sandbox, client, send):
    """
    A 201 can have a body nobody can read.
    """
    sandbox.fail_next(201, body="<html>", taken=True)
    answer = await send(client)

    assert (201, "<html>") == (answer.status_code, answer.text)
    assert 1 == len(sandbox.sent)


@pytest.mark.real_time
async def test_a_dropped_connection(sandbox, reached, send):
    """
    The message was taken; its client sees the connection close and can send the next.
    """
    sandbox.drop_next()
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        await send(reached)

    assert 201 == (await send(reached)).status_code
    assert [None, 201] == [request.status for request in sandbox.requests[1:]]
    assert 2 == len(sandbox.sent)


@pytest.mark.real_time
async def test_an_answer_that_never_comes(sandbox, reached, send):
    """
    The message was taken; its client waits for as long as it will.
    """
    sandbox.hang_next()
    reached.timeout = httpx.Timeout(5, read=0.2)
    with pytest.raises(httpx.ReadTimeout):
        await send(reached)

    assert 1 == len(sandbox.sent)


async def test_silence_before_anything_was_taken(sandbox, client, send):
    """
    The connection may also end before Orange has done anything.
    """
    sandbox.drop_next(taken=False)
    sandbox.hang_next(on="account", taken=False)
    client.timeout = httpx.Timeout(0.05)
    with pytest.raises(httpx.ReadError):
        await send(client)
    with pytest.raises(httpx.ReadTimeout):
        await client.get("/sms/admin/v1/contracts")

    assert [] == sandbox.sent


async def test_a_request_that_left_arrives(sandbox, client, send):
    """
    A client that gives up does not call its request back, in process as over a network.
    """
    sandbox.latency = 0.05
    client.timeout = httpx.Timeout(0.01)
    with pytest.raises(httpx.ReadTimeout):
        await send(client)
    await asyncio.sleep(0.06)

    assert 1 == len(sandbox.sent)


async def test_nobody_hears_of_what_nobody_waits_for(sandbox, client, send):
    """
    A connection dropped after its client left is no error.
    """
    sandbox.drop_next()
    sandbox.latency = 0.02
    client.timeout = httpx.Timeout(0.01)
    with pytest.raises(httpx.ReadTimeout):
        await send(client)
    await asyncio.sleep(0.06)

    assert not sandbox._orange.tasks


async def test_requests_and_answers_travel(sandbox, client, send):
    """
    Latency is paid on the way there, where arrival is counted, and on the way back.
    """
    loop = asyncio.get_running_loop()
    sandbox.latency, sandbox.jitter = 0.02, 0.01
    start = loop.time()
    await send(client)

    assert 0.02 <= sandbox.sent[0].time - start < 0.06
    assert 0.04 <= loop.time() - start < 0.12


async def test_the_token_endpoint_has_a_latency_of_its_own(sandbox, client, connect, send):
    """
    It does not slow down messages.
    """
    loop = asyncio.get_running_loop()
    sandbox.token_latency = 0.05
    start = loop.time()
    await send(client)
    sent = loop.time()
    await connect(sandbox, transport=sandbox.transport)

    assert sent - start < 0.05 <= loop.time() - sent


async def test_jitter_has_a_seed(connect, send):
    """
    One seed, one course of events.
    """
    ids = []
    for _ in range(2):
        sandbox = Sandbox(seed=7)
        client = await connect(sandbox, transport=sandbox.transport)
        await send(client)
        ids.append(sandbox.sent[0].resource_id)

    assert ids[0] == ids[1]


async def test_closing_ends_what_hangs(sandbox, client, send):
    """
    Who still waits is told that the wait is over.
    """
    sandbox.hang_next()
    waiting = asyncio.create_task(send(client))
    await anyio.wait_all_tasks_blocked()
    await sandbox.aclose()
    with pytest.raises(httpx.ReadError):
        await waiting

    assert 1 == len(sandbox.sent)
    assert not sandbox._orange.tasks


async def test_a_client_can_be_cancelled(sandbox, client, send):
    """
    It stops waiting; its message was taken all the same.
    """
    sandbox.hang_next()
    waiting = asyncio.create_task(send(client))
    await anyio.wait_all_tasks_blocked()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert 1 == len(sandbox.sent)
    await sandbox.aclose()
