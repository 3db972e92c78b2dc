"""Whatever carries the requests: the same outcomes, told apart by whether a message left."""

import asyncio
import gc
import math
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from bytesserver import HANG, TAKEN, URL, BytesServer, answer, until
from httpx_aiohttp import AiohttpTransport
from line import sms
from orange import CREDENTIALS, MESSAGE, Orange

from orange_sms_async import (
    Client,
    ConnectionFailed,
    MessageExpired,
    OutcomeUnknown,
    SendQueue,
)
from orange_sms_async.engines import opener
from orange_sms_async.engines.exchange import Exchange
from orange_sms_async.events import Claimed

pytest_plugins = ["servers"]
pytestmark = pytest.mark.real_time


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


async def test_a_connection_that_does_not_come_about(engine):
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
        async with Client(CREDENTIALS, base_url=url, timeout=0.3, engine=engine) as client:
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


# httpx leaves the socket of a handshake that is cancelled to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
async def test_a_handshake_that_never_ends(engine):
    """
    A server that takes the connection and no more: nothing of the message was sent.
    """
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        async with Client(CREDENTIALS, base_url=url, timeout=0.3, engine=engine) as client:
            client._token._token = await _token()
            with pytest.raises(ConnectionFailed, match="no answer in time"):
                await client.attempt(MESSAGE)
        gc.collect()


async def test_a_certificate_of_nobody_known(engine, tls):
    """
    Neither the token's request nor a message goes to who cannot show that it is Orange.
    """
    async with BytesServer(tls=tls) as stranger:
        async with Client(CREDENTIALS, base_url=stranger.base_url, engine=engine) as client:
            with pytest.raises(ConnectionFailed, match="no connection to"):
                await client.ready()
            client._token._token = await _token()
            with pytest.raises(ConnectionFailed, match="no connection to"):
                await client.attempt(MESSAGE)

    assert not stranger.heads


CONNECTS = {
    "drops it": b"",
    "says half": b"HTTP/1.1 200 Conn",
    "garbles it": b"+OK Gpop ready\r\n\r\n",
    "takes it and speaks no TLS": b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 201 Created\r\n\r\n",
    **{
        status: answer(status, Location=URL)
        for status in ("201 Created", "401 No", "407 Who", "429 Too many", "502 Bad")
    },
}


@pytest.mark.parametrize("said", CONNECTS)
async def test_a_proxy_that_does_not_connect(monkeypatch, engine, said):
    """
    Whatever it says to CONNECT, nothing of the message left.
    """

    async def proxy(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CONNECTS[said])
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(proxy, "127.0.0.1") as listening:
        port = listening.sockets[0].getsockname()[1]
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("no_proxy", "")
        async with Client(CREDENTIALS, base_url="https://orange.test", engine=engine) as client:
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


async def test_a_line_closed_right_after_an_answer(engine, plain):
    """
    Another is opened, and nothing is lost.
    """
    closing = answer("201 Created", Location=URL, Server="closes")
    plain.answers, plain.dropping = [closing] * 3, [closing]

    async with Client(CREDENTIALS, base_url=plain.base_url, engine=engine) as client:
        for _ in range(3):
            await client.send(MESSAGE)
            await asyncio.sleep(0.02)

    assert 3 == len(plain.heads)


async def test_a_line_closed_between_two_messages(client, server):
    """
    The same a moment later. (Of TLS httpx does not see what came together with an answer.)
    """
    for _ in range(3):
        await client.send(MESSAGE)
        await asyncio.sleep(0.02)
        for writer in server.open:
            writer.close()
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


async def test_a_lent_transport_that_calls_everything_a_connect_timeout(plain):
    """
    httpx-aiohttp does; what left is unknown all the same, and what did not is not.
    """
    plain.answers, plain.dropping = [b""], [b""]
    async with (
        AiohttpTransport() as transport,
        Client(CREDENTIALS, base_url=plain.base_url, transport=transport) as client,
    ):
        with pytest.raises(OutcomeUnknown):
            await client.send(MESSAGE)
        await plain.__aexit__()
        with pytest.raises(ConnectionFailed):
            await client.attempt(MESSAGE)

    assert 1 == len(plain.heads)


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
    assert (100, 10, 90) == (
        len(server.heads),
        len(unknown),
        [*map(str, results)].count("81e4296d-aa"),
    )


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

    await until(lambda: not server.open)


def token_request():
    return Exchange("POST", "/oauth/v3/token", {}, b"grant_type=client_credentials")


def message(server, said):
    """A message as it would be posted, which is answered in this way."""
    server.answers.append(said)
    return Exchange("POST", "/smsmessaging/v1/outbound/tel%3A%2B2250000/requests", {}, b"{}")


@pytest.fixture
def opened(engine):
    """Opens the engine with settings of its own."""

    def opened(server, **settings):
        return partial(opener(engine, server.base_url), **settings)()

    return opened


async def test_idle_connections_are_not_kept(opened, server):
    """
    After the time to keep them, at the latest the next request closes all that were idle for as
    long.
    """
    engine = opened(server, most=20, keepalive=0.05)
    await asyncio.gather(*[engine.carry(token_request()) for _ in range(5)])
    await asyncio.sleep(0.2)
    await engine.carry(token_request())
    await engine.carry(token_request())
    await until(lambda: 1 == len(server.open))

    assert 5 == server.most
    await engine.aclose()


async def test_no_more_connections_than_said(opened, server):
    """
    Who comes then waits for one, and has not begun to leave.
    """
    engine = opened(server, most=2)
    await asyncio.gather(*[engine.carry(token_request()) for _ in range(20)])
    hanging = [asyncio.create_task(engine.carry(message(server, HANG))) for _ in range(2)]
    await until(lambda: 2 == len(server.heads))
    waiting = token_request()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(engine.carry(waiting), 0.1)
    for task in hanging:
        task.cancel()
    await asyncio.wait(hanging)
    await engine.carry(token_request())

    assert not waiting.left
    assert 2 == server.most
    await engine.aclose()


async def test_leaving_the_block_ends_what_is_on_the_wire(engine, server):
    """
    Its connection is closed, and its outcome unknown.
    """
    server.answers = [HANG]
    async with Client(CREDENTIALS, base_url=server.base_url, engine=engine) as client:
        task = asyncio.create_task(client.send(MESSAGE))
        await until(lambda: server.heads)

    with pytest.raises(OutcomeUnknown):
        await task


async def test_closing_beside_connections_that_were_idle_for_long(opened, server):
    """
    Requests that are ended close those on their way out: all are closed all the same.
    """
    engine = opened(server, most=20, keepalive=0.05)
    await asyncio.gather(*[engine.carry(token_request()) for _ in range(10)])
    exchanges = [message(server, HANG) for _ in range(5)]
    hanging = [asyncio.create_task(engine.carry(exchange)) for exchange in exchanges]
    await until(lambda: 5 == len(server.heads))
    await asyncio.sleep(0.1)
    await engine.aclose()
    await asyncio.wait(hanging)
    await until(lambda: not server.open)

    assert all(
        task.exception() and exchange.left
        for task, exchange in zip(hanging, exchanges, strict=True)
    )


HALVES = {"nothing": HANG, "half a head": TAKEN[:20], "half a body": answer("403 No", "{...}")[:-3]}


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("cancelled", [True, False])
async def test_a_request_that_is_cut_short_closes_its_connection(engine, server, half, cancelled):
    """
    No later message goes where the rest of its answer may still come.
    """
    async with Client(CREDENTIALS, base_url=server.base_url, engine=engine) as client:
        await client.ready()
        client.timeout, server.answers = 0.2, [HALVES[half]]
        task = asyncio.create_task(client.send(MESSAGE))
        await until(lambda: server.heads)
        await asyncio.sleep(0.02)
        if cancelled:
            task.cancel()
        await asyncio.wait([task])
        await until(lambda: not server.open)
        client.timeout = 5
        await client.send(MESSAGE)

    assert task.cancelled() == cancelled
    assert cancelled or OutcomeUnknown is type(task.exception())
    assert 2 == len(server.heads)


async def test_the_moment_of_leaving(opened, server):
    """
    It is told once, before the server has anything, and not of a request without a body.
    """
    heard = []
    engine = opened(server)
    exchange = message(server, TAKEN)
    exchange.on_left = lambda: heard.append((list(server.heads), exchange.head))
    question = Exchange("GET", "/sms/admin/v1/contracts", {})
    await engine.carry(exchange)
    await engine.carry(question)

    assert [([], None)] == heard
    assert (True, 201) == (exchange.left, exchange.head.status)
    assert (False, 201) == (question.left, question.head.status)
    await engine.aclose()


async def transports(engine):
    """A transport of the engine's library, and what closes it."""
    if engine == "aiohttp":
        import aiohttp

        connector = aiohttp.TCPConnector()
        return connector, connector.close
    transport = __import__(engine).AsyncHTTPTransport()
    return transport, transport.aclose


async def test_a_lent_transport_stays_open(engine, plain):
    """
    It carries the requests, and its connections outlive the client.
    """
    transport, close = await transports(engine)
    for _ in range(2):
        async with Client(
            CREDENTIALS, base_url=plain.base_url, engine=engine, transport=transport
        ) as client:
            await client.send(MESSAGE)

    assert 1 == plain.most == len(plain.open)
    await close()
    await until(lambda: not plain.open)


@pytest.mark.parametrize("bypassed", [True, False])
async def test_the_proxy_of_the_environment(monkeypatch, plain, engine, bypassed):
    """
    Requests go to it, unless it is not for this host.
    """
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("http_proxy", plain.base_url)
    monkeypatch.setenv("no_proxy", "127.0.0.1" if bypassed else "")
    url = plain.base_url if bypassed else "http://orange.test"

    async with Client(CREDENTIALS, base_url=url, engine=engine) as client:
        await client.send(MESSAGE)

    path = "/smsmessaging/v1/outbound/tel%3a%2b2250000/requests"
    assert [f"post {'' if bypassed else url}{path} http/1.1"] == plain.heads


@pytest.mark.parametrize("engine", ["httpx", "httpx2"])
async def test_a_proxy_that_cannot_be_used(monkeypatch, engine):
    """
    The block is not entered: no request has to find it out.
    """
    monkeypatch.setenv("http_proxy", "gopher://127.0.0.1")

    with pytest.raises(ValueError, match="gopher"):
        async with Client(CREDENTIALS, base_url="http://orange.test", engine=engine):
            pass


# -- which engine ---------------------------------------------------------------------------------


def test_an_engine_that_is_none():
    """
    It is said at once.
    """
    with pytest.raises(ValueError, match='"httpx", "httpx2" or "aiohttp"'):
        Client(CREDENTIALS, engine="requests")  # type: ignore[arg-type]


def printed(program):
    """What a new process prints, in which `Client` can be made and no module was imported yet."""
    credentials = "from orange_sms_async import Client, ClientCredentials as Credentials"
    program = f"import sys\n{credentials}\n{program}"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout


@pytest.mark.parametrize("name", ["httpx2", "aiohttp"])
def test_an_engine_that_is_not_installed(name):
    """
    The error says what to install.
    """
    program = f"""
sys.modules["{name}"] = None
try:
    Client(Credentials("id", "secret"), engine="{name}")
except ImportError as error:
    print(error)
"""

    assert f"engine: pip install 'orange-sms-async[{name}]'" == printed(program).decode().strip()


@pytest.mark.parametrize("name", ["httpx", "httpx2", "aiohttp"])
def test_only_the_library_in_use_is_imported(name):
    """
    Each takes longer to import than all of ours.
    """
    program = f"""
Client(Credentials("id", "secret"), engine="{name}")
print(*{{"httpx", "httpx2", "aiohttp"}} & sys.modules.keys())
"""

    assert name == printed(program).decode().strip()


async def test_what_ended_before_its_body_could_leave_does_not_leave(engine, server):
    """
    A process is stopped between the claim and the body: no SMS, no pause, and the next one goes.
    """

    def stop(event):
        if isinstance(event, Claimed) and event.message is MESSAGE:
            asyncio.get_running_loop().call_soon(time.sleep, 0.3)

    async with Client(CREDENTIALS, base_url=server.base_url, engine=engine) as client:
        await client.ready()
        async with SendQueue(client, on_event=stop) as queue:
            soon = datetime.now(UTC) + timedelta(seconds=0.2)
            with pytest.raises(MessageExpired):
                await queue.send(MESSAGE, expires_at=soon)

            assert queue.statistics().waiting_for is None
            assert "81e4296d-aa" == await queue.send(sms("next"))
    assert 1 == len(server.heads)
