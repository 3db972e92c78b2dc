"""The endpoint as servers call it: other protocols, and real ones."""

import asyncio
import http.client
import socket
import threading

import attrs
import httpx
import pytest
from line import sms
from post import ORANGE, RECEIPT, SECRET, Post

from orange_sms_async import Client, ClientCredentials
from orange_sms_async._served import Served
from orange_sms_async.receiver import ReceiptReceiver, ReceiverStatistics
from orange_sms_async.sandbox import Sandbox


async def test_served_alone(receiver):
    """
    The server's start and end are answered.
    """
    told, sent = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]), []

    async def receive():
        return next(told)

    async def send(message):
        sent.append(message["type"])

    await receiver({"type": "lifespan"}, receive, send)

    assert ["lifespan.startup.complete", "lifespan.shutdown.complete"] == sent


async def test_no_websocket(receiver):
    """
    Refused; what ASGI may know one day is an error, as it asks for.
    """
    post = Post(type="websocket")
    await receiver(post.scope, post.receive, post.send)

    assert [{"type": "websocket.close"}] == post.sent
    with pytest.raises(ValueError, match="not a protocol"):
        await Post(type="webtransport").to(receiver)


@pytest.fixture
def served(receiver):
    with Served(receiver) as served:
        yield served


def spoken(served, request):
    """Send bytes over a line of their own; return all that comes until it is closed."""
    with socket.create_connection(served.socket.getsockname(), timeout=5) as line:
        line.sendall(request)
        answer = b""
        while piece := line.recv(4096):
            answer += piece
        return answer


HEAD = f"POST /{SECRET} HTTP/1.1\r\nHost: here\r\n".encode()


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (HEAD + b"Connection: close\r\nContent-Length: 4\r\n\r\nnull", b"400"),
        (HEAD.replace(b"POST", b"GET") + b"\r\n", b"405"),
        (HEAD.replace(b"POST", b"HEAD") + b"\r\n", b"405"),
        (HEAD.replace(SECRET.encode(), b"guess") + b"\r\n", b"404"),
        (HEAD + b"Content-Length: 65537\r\n\r\n", b"413"),
        (HEAD + b"Expect: 100-continue\r\nContent-Length: 65537\r\n\r\n", b"413"),
        (
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"8000\r\n%s\r\n" % bytes(32768) * 3,
            b"413",
        ),
    ],
    ids=["null", "GET", "HEAD", "guess", "declared", "expect", "chunked"],
)
async def test_refusals_of_a_real_server(served, receiver, caplog, request_, status):
    """
    Answered at once, and the line closed, so that nobody has to take the rest.
    """
    answer = await asyncio.to_thread(spoken, served, request_)

    assert b"HTTP/1.1 " + status == answer[:12]
    assert answer.endswith(b"\r\n\r\n")
    assert "Traceback" not in caplog.text
    assert 1 == sum(attrs.asdict(receiver.statistics()).values())


@pytest.mark.real_time
async def test_a_line_that_breaks(receiver, caplog):
    """
    In the middle of a body it is no error, and the next receipt is taken.
    """

    def break_then_post():
        with Served(receiver) as served:
            with socket.create_connection(served.socket.getsockname()) as line:
                line.sendall(HEAD + b"Content-Length: 100\r\n\r\n{")
            again = http.client.HTTPConnection(*served.socket.getsockname())
            again.request("POST", f"/{SECRET}", RECEIPT)
            status = again.getresponse().status
            again.close()
        return status

    assert 200 == await asyncio.to_thread(break_then_post)
    assert ReceiverStatistics(receipts=1, disconnected=1) == receiver.statistics()
    assert "Traceback" not in caplog.text


@pytest.mark.real_time
async def test_the_sandbox_posts_to_a_real_server(heard):
    """
    Every message is heard of, and every receipt answered 200.
    """
    done = threading.Event()

    def on_receipt(receipt):
        heard.append(receipt)
        if len(heard) == 200:
            done.set()

    with Served(ReceiptReceiver(on_receipt, secret=SECRET)) as served:
        url = f"{served.base_url}/{SECRET}"
        sandbox = Sandbox(rate=None, receipt_url=url, receipt_delay=0.01)
        credentials = ClientCredentials.from_header(sandbox.authorization)
        async with Client(credentials, transport=sandbox.transport) as client:
            sent = await asyncio.gather(*(client.send(sms(str(n))) for n in range(200)))
            assert await asyncio.to_thread(done.wait, 10)
            await sandbox.aclose()

    assert {message.resource_id for message in sent} == {receipt.resource_id for receipt in heard}
    assert {200, None} >= {receipt.answer for receipt in sandbox.receipts}


@pytest.mark.real_time
async def test_uvicorn_that_reads_the_proxys_header_itself(heard):
    """
    It shows the client in the proxy's place, which agrees with naming the proxy.
    """
    receiver = ReceiptReceiver(
        heard.append, secret=SECRET, allowed_sources=[ORANGE], trusted_proxies=["127.0.0.1"]
    )
    with Served(receiver) as served:
        async with httpx.AsyncClient(base_url=served.base_url, trust_env=False) as client:
            answers = [
                await client.post(f"/{SECRET}", content=RECEIPT, headers={"X-Forwarded-For": chain})
                for chain in (ORANGE, f"198.51.100.1, {ORANGE}", f"{ORANGE}, 198.51.100.1", "me")
            ]

    assert [200, 200, 404, 404] == [answer.status_code for answer in answers]
