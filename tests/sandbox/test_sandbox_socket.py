"""The sandbox at a socket: over TLS, behind a proxy, for clients that are slow or hostile."""

import asyncio
import contextlib
import socket
import ssl
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from cli.served import served_sandbox
from uvicorn.server import ServerState

from orange_sms_async.sandbox import Sandbox
from orange_sms_async.sandbox.server import _Patient, tls_context

GRANT = {"grant_type": "client_credentials"}
TOKEN = "/oauth/v3/token"
SENDER = "/smsmessaging/v1/outbound/tel%3A%2B2250000"
MESSAGE = {
    "outboundSMSMessageRequest": {
        "address": "tel:+2250701020304",
        "senderAddress": "tel:+2250000",
        "outboundSMSTextMessage": {"message": "Bonjour"},
    }
}


def sent(client, served, **headers):
    authorization = {"Authorization": served.environment["ORANGE_SMS_AUTHORIZATION"]}
    token = client.post(TOKEN, data=GRANT, headers=authorization).json()["access_token"]
    headers["Authorization"] = f"Bearer {token}"
    return client.post(f"{SENDER}/requests", json=MESSAGE, headers=headers)


@pytest.mark.real_time
def test_tls_is_trusted_by_its_authority(tmp_path):
    """
    Under this machine's names and Orange's; what is answered follows the scheme.
    """
    authority = tmp_path / "ca.pem"
    with served_sandbox("--tls", "--tls-ca", str(authority)) as served:
        port = urlsplit(served.url).port
        trust = ssl.create_default_context(cafile=authority)
        with socket.create_connection(("127.0.0.1", port)) as line:
            trust.wrap_socket(line, server_hostname="api.orange.com").close()
        with httpx.Client(base_url=served.url, verify=trust, trust_env=False) as client:
            answer = sent(client, served)

    assert served.url.startswith("https://")
    assert answer.headers["Location"].startswith(f"{served.url}/smsmessaging")
    assert "PRIVATE" not in authority.read_text()


@pytest.mark.real_time
@pytest.mark.parametrize(("options", "scheme"), [(["--proxy", "127.0.0.1"], "https"), ([], "http")])
def test_the_scheme_of_a_trusted_proxy(options, scheme):
    """
    Of any other it is not believed.
    """
    with (
        served_sandbox(*options) as served,
        httpx.Client(base_url=served.url, trust_env=False) as client,
    ):
        answer = sent(client, served, **{"X-Forwarded-Proto": "https"})

    assert f"{scheme}:" in answer.headers["Location"]
    assert f'"{scheme}:' in answer.text.replace("resourceURL", "").replace(" ", "")


HOSTILE = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/9.9\r\n\r\n",
    b"POST /oauth/v3/token HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: " + b"x" * 200_000,
    b"POST /oauth/v3/token HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /_sandbox/events HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /_sandbox/wait?timeout=1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
]


@pytest.mark.real_time
def test_nothing_is_said_of_hostile_bytes():
    """
    The operator's terminal stays clean, and the next client is answered.
    """
    with served_sandbox() as served:
        address = urlsplit(served.url)
        for rubbish in HOSTILE:
            with (
                contextlib.suppress(OSError),
                socket.create_connection((address.hostname, address.port)) as line,
            ):
                line.sendall(rubbish)
        health = served.shown("health")
        served.process.terminate()
        said = served.process.communicate(timeout=10)

    assert ({"status": "ok"}, "") == (health, said[1])


class Line(asyncio.Transport):
    """A connection that remembers when it was given up."""

    ended = 0.0

    def abort(self):
        self.ended = asyncio.get_running_loop().time()

    def get_extra_info(self, name, default=None):
        return ("127.0.0.1", 1) if name in {"peername", "sockname"} else default


@pytest.mark.parametrize("head", [b"", b"GET / HTTP/1.1\r\nX-Slow:"])
async def test_a_head_that_does_not_end_is_not_waited_for(head):
    """
    After half a minute the connection is given up, however many bytes trickle.
    """
    config = uvicorn.Config(Sandbox(), lifespan="off", ws="none", log_config=None)
    config.load()
    line, began = Line(), asyncio.get_running_loop().time()
    slow = _Patient(config, ServerState(), {})
    slow.connection_made(line)
    for _ in range(10):
        await asyncio.sleep(2)
        if head:
            slow.data_received(head)
            head = b" "
    await asyncio.sleep(20)

    assert 30 == pytest.approx(line.ended - began)


@pytest.mark.parametrize(("path", "named"), [(f"{SENDER}/requests", 63), ("/_sandbox/reset", 0)])
async def test_a_body_that_does_not_end_is_answered(sandbox, client, control, path, named):
    """
    With 408, and the end of the connection.
    """
    token = (await control("GET", "token")).json()["token"]
    answered = []

    async def receive():
        await asyncio.sleep(10)
        return {"type": "http.request", "body": b"{", "more_body": True}

    async def send(message):
        answered.append(message)

    said = dict(client.headers) | {"x-sandbox-token": token, "content-type": "application/json"}
    headers = [(name.lower().encode(), value.encode()) for name, value in said.items()]
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode()}
    scope |= {"scheme": "http", "query_string": b"", "headers": headers}
    await sandbox(scope, receive, send)

    assert (408, (b"connection", b"close")) == (
        answered[0]["status"],
        next(pair for pair in answered[0]["headers"] if pair[0] == b"connection"),
    )
    assert f'"code":{named}'.encode() in answered[1]["body"] or not named


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
async def test_another_page_cannot_use_up_the_tokens(sandbox, client, headers):
    """
    What a browser sends for another site is no request of Orange's.
    """
    refused = [await client.post(TOKEN, data=GRANT, headers=headers) for _ in range(60)]
    authorization = {"Authorization": sandbox.authorization}
    ours = await client.post(TOKEN, data=GRANT, headers=authorization)

    assert ({403}, 200) == ({answer.status_code for answer in refused}, ours.status_code)
    assert 2 == len(sandbox.requests)


def test_an_authority_that_cannot_be_written(tmp_path):
    """
    The command says so in its own words.
    """
    with pytest.raises(OSError, match="nowhere"):
        tls_context(tmp_path / "nowhere" / "ca.pem")
