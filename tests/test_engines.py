"""Whatever carries the requests: the same outcomes, told apart by whether a message left."""

import asyncio
import gzip
import math
import socket
import subprocess
import sys

import httpx
import pytest
from bytesserver import HANG, TAKEN, URL, BytesServer, answer
from httpx_aiohttp import AiohttpTransport
from line import sms
from orange import CREDENTIALS, MESSAGE, Orange

from orange_sms_async import Client, ConnectionFailed, OutcomeUnknown, SendQueue
from orange_sms_async.engines.httpx import Connections

pytestmark = pytest.mark.real_time


@pytest.fixture(params=["httpx", "aiohttp"])
def engine(request):
    return request.param


@pytest.fixture
async def server():
    async with BytesServer() as server:
        yield server


@pytest.fixture
async def client(engine, server):
    async with Client(CREDENTIALS, base_url=server.base_url, timeout=0.5, engine=engine) as client:
        yield client


# -- it never left --------------------------------------------------------------------------------


async def test_nobody_listens(engine):
    """
    A refused connection: certainly not sent.
    """
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"

    async with Client(CREDENTIALS, base_url=url, engine=engine) as client:
        with pytest.raises(ConnectionFailed):
            await client.send(MESSAGE)
        client._token._token = await _token()
        with pytest.raises(ConnectionFailed, match="no connection to"):
            await client.attempt(MESSAGE)


async def _token():
    async with Orange().client() as client:
        return await client._token.get()


@pytest.mark.parametrize("timeout", [0.3, httpx.Timeout(5, connect=0.3)])
async def test_a_connection_that_does_not_come_about(engine, timeout):
    """
    The time runs out before the message could leave.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(2)]
        for line in waiting:
            line.setblocking(False)
            line.connect_ex(("127.0.0.1", port))

        url = f"http://127.0.0.1:{port}"
        async with Client(CREDENTIALS, base_url=url, timeout=timeout, engine=engine) as client:
            client._token._token = await _token()
            with pytest.raises(ConnectionFailed):
                await client.attempt(MESSAGE)

        for line in waiting:
            line.close()


async def test_a_handshake_that_fails(engine):
    """
    No TLS on the other side: nothing of the message was sent.
    """

    async def no_tls(_, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(no_tls, "127.0.0.1") as plain:
        url = f"https://127.0.0.1:{plain.sockets[0].getsockname()[1]}"
        async with Client(CREDENTIALS, base_url=url, engine=engine) as client:
            client._token._token = await _token()
            with pytest.raises(ConnectionFailed, match="no connection to"):
                await client.attempt(MESSAGE)


# -- it may have left -----------------------------------------------------------------------------

BROKEN = {
    "dropped": b"",
    "half a head": b"HTTP/1.1 201 Cre",
    "no HTTP": b"+OK Gpop ready\r\n\r\n",
    "a bad header": b"HTTP/1.1 201 Created\r\nno header\r\n\r\n",
    "half a refusal": answer("403 Forbidden", '{"code": 53}')[:-5],
    "too short chunks": b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc",
    "no answer": HANG,
}


@pytest.mark.parametrize("broken", BROKEN)
async def test_it_may_have_been_sent(client, server, broken):
    """
    One POST, whatever breaks, and the next message is sent.
    """
    server.answers = [BROKEN[broken]]
    server.dropping = [BROKEN[broken]]

    with pytest.raises(OutcomeUnknown) as caught:
        await client.send(MESSAGE)
    await client.send(MESSAGE)

    assert not caught.value.accepted
    assert 2 == len(server.heads)


async def test_a_line_dropped_just_as_a_message_leaves(client, server):
    """
    A connection kept alive is closed on arrival of the second message: nothing repeats that one.
    """
    server.answers, server.dropping = [TAKEN, b"", TAKEN], [b""]

    await client.send(MESSAGE)
    with pytest.raises(OutcomeUnknown):
        await client.send(MESSAGE)
    await client.send(MESSAGE)

    assert 3 == len(server.heads)


async def test_a_line_closed_between_two_messages(client, server):
    """
    Another is opened, and nothing is lost.
    """
    closing = answer("201 Created", Location=URL, Server="closes")
    server.answers, server.dropping = [closing] * 3, [closing]

    for _ in range(3):
        await client.send(MESSAGE)
        await asyncio.sleep(0.02)

    assert 3 == len(server.heads)


async def test_an_answer_that_sends_elsewhere(client, server):
    """
    Nobody goes there.
    """
    server.answers = [answer("302 Found", Location="/elsewhere")]

    with pytest.raises(OutcomeUnknown):
        await client.send(MESSAGE)

    assert 1 == len(server.heads)


async def test_a_lent_transport_that_calls_everything_a_connect_timeout(server):
    """
    httpx-aiohttp does; what left is unknown all the same, and what did not is not.
    """
    server.answers, server.dropping = [b""], [b""]
    async with (
        AiohttpTransport() as transport,
        Client(CREDENTIALS, base_url=server.base_url, transport=transport) as client,
    ):
        with pytest.raises(OutcomeUnknown):
            await client.send(MESSAGE)
        await server.__aexit__()
        with pytest.raises(ConnectionFailed):
            await client.attempt(MESSAGE)

    assert 1 == len(server.heads)


async def test_a_queue_sends_none_twice(engine, server):
    """
    Every tenth line is dropped: those are unknown, and every message is posted once.
    """
    server.answers, server.dropping = [*[TAKEN] * 9, b""] * 10, [b""]

    async with (
        Client(CREDENTIALS, base_url=server.base_url, engine=engine, rate=math.inf) as client,
        SendQueue(client) as queue,
    ):
        futures = [await queue.submit(sms(str(number))) for number in range(100)]
        results = await asyncio.gather(*futures, return_exceptions=True)

    unknown = [result for result in results if isinstance(result, OutcomeUnknown)]
    assert (100, 10, 90) == (len(server.heads), len(unknown), results.count("81e4296d-aa"))


# -- it was answered ------------------------------------------------------------------------------


@pytest.mark.parametrize("located", [True, False])
async def test_a_201_that_breaks_off(client, server, located):
    """
    Its Location counts; without one it is accepted all the same.
    """
    headers = {"Location": URL} if located else {}
    half = answer("201 Created", "{...........}", **headers)[:-5]
    server.answers, server.dropping = [half], [half]

    if located:
        assert "81e4296d-aa" == (await client.send(MESSAGE)).resource_id
    else:
        with pytest.raises(OutcomeUnknown) as caught:
            await client.send(MESSAGE)
        assert caught.value.accepted


async def test_a_packed_answer(client, server):
    """
    It is unpacked, by whichever engine.
    """
    body = gzip.compress(b'{"outboundSMSMessageRequest": {"resourceURL": "a/packed"}}')
    head = f"HTTP/1.1 201 Created\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
    server.answers = [head.encode() + body]

    assert "packed" == (await client.send(MESSAGE)).resource_id


# -- connections ----------------------------------------------------------------------------------


async def test_connections_are_used_again_and_closed(engine, server):
    """
    One after the other needs one; what was opened is closed with the block.
    """
    async with Client(CREDENTIALS, base_url=server.base_url, engine=engine) as client:
        for _ in range(5):
            await client.send(MESSAGE)
        assert 1 == server.most
        await asyncio.gather(*[client.send(MESSAGE) for _ in range(5)])
        assert 5 == server.most

    await asyncio.sleep(0.02)
    assert not server.open


async def test_idle_connections_are_not_kept(server):
    """
    After the time to keep them, the next request closes all that were idle for as long.
    """
    transport = Connections(most=20, keepalive=0.05)
    async with transport, Client(CREDENTIALS, base_url=server.base_url, transport=transport) as c:
        await asyncio.gather(*[c.send(MESSAGE) for _ in range(5)])
        await asyncio.sleep(0.1)
        await c.send(MESSAGE)
        await c.send(MESSAGE)
        await asyncio.sleep(0.02)

        assert 1 == len(server.open)


async def test_no_more_connections_than_said(server):
    """
    Who comes then waits for one, as long as the pool's part of the timeout says.
    """
    transport = Connections(most=2, keepalive=5)
    limits = httpx.Timeout(5, pool=0.1)
    url = server.base_url
    async with transport, Client(CREDENTIALS, base_url=url, transport=transport) as client:
        await asyncio.gather(*[client.send(MESSAGE) for _ in range(20)])
        server.answers = [HANG, HANG]
        impatient = Client(CREDENTIALS, base_url=url, transport=transport, timeout=limits)
        async with impatient:
            await impatient.ready()
            hanging = [asyncio.create_task(client.send(MESSAGE)) for _ in range(2)]
            await asyncio.sleep(0.02)
            with pytest.raises(ConnectionFailed, match="no answer in time"):
                await impatient.send(MESSAGE)
            for task in hanging:
                task.cancel()
            await asyncio.wait(hanging)

    assert 2 == server.most


async def test_leaving_the_block_ends_what_is_on_the_wire(server):
    """
    Its connection is closed, and its outcome unknown.
    """
    server.answers = [HANG]
    async with Client(CREDENTIALS, base_url=server.base_url) as client:
        task = asyncio.create_task(client.send(MESSAGE))
        await asyncio.sleep(0.05)

    with pytest.raises(OutcomeUnknown):
        await task


async def test_closing_beside_connections_that_were_idle_for_long(server):
    """
    Requests that are ended close those on their way out: all are closed all the same.
    """
    transport = Connections(most=20, keepalive=0.05)
    async with Client(CREDENTIALS, base_url=server.base_url, transport=transport) as client:
        await asyncio.gather(*[client.send(MESSAGE) for _ in range(10)])
        server.answers = [HANG] * 5
        hanging = [asyncio.create_task(client.send(MESSAGE)) for _ in range(5)]
        await asyncio.sleep(0.1)
        await transport.aclose()
        await asyncio.wait(hanging)
        await asyncio.sleep(0.02)

    assert {OutcomeUnknown} == {type(task.exception()) for task in hanging}
    assert not server.open


@pytest.mark.parametrize("bypassed", [True, False])
async def test_the_proxy_of_the_environment(monkeypatch, server, engine, bypassed):
    """
    Requests go to it, unless it is not for this host.
    """
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("http_proxy", server.base_url)
    monkeypatch.setenv("no_proxy", "127.0.0.1" if bypassed else "")
    url = server.base_url if bypassed else "http://orange.test"

    async with Client(CREDENTIALS, base_url=url, engine=engine) as client:
        await client.send(MESSAGE)

    path = "/smsmessaging/v1/outbound/tel%3a%2b2250000/requests"
    assert [f"post {'' if bypassed else url}{path} http/1.1"] == server.heads


async def test_a_proxy_that_cannot_be_used(monkeypatch):
    """
    The block is not entered: no request has to find it out.
    """
    monkeypatch.setenv("http_proxy", "gopher://127.0.0.1")

    with pytest.raises(ValueError, match="gopher"):
        async with Client(CREDENTIALS, base_url="http://orange.test"):
            pass


# -- which engine ---------------------------------------------------------------------------------


def test_an_engine_that_is_none():
    """
    It is said at once.
    """
    with pytest.raises(ValueError, match='"httpx" or "aiohttp"'):
        Client(CREDENTIALS, engine="requests")


def test_an_engine_that_is_not_installed():
    """
    The error says what to install.
    """
    program = """
import sys
sys.modules["aiohttp"] = None
from orange_sms_async import Client, ClientCredentials
try:
    Client(ClientCredentials("id", "secret"), engine="aiohttp")
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert b"orange-sms-async[aiohttp]" in done.stdout
