"""A sandbox, a client that has a token, and a way to send: raw httpx, nothing of our own client."""

import contextlib

import httpx
import pytest
from browser import (  # noqa: F401 -- fixtures, and a hook
    chromium,
    program,
    pytest_runtest_setup,
    served_url,
    visit,
)

from orange_sms_async._served import Served
from orange_sms_async.sandbox import Sandbox


def pytest_configure(config):
    config.addinivalue_line("markers", "real_time: runs on a loop whose clock does not jump")


ORANGE = "https://api.orange.com"


@pytest.fixture
def sandbox():
    return Sandbox(rate=None, seed=1)


@pytest.fixture
async def connect():
    """Open a client of a sandbox that has fetched its token; closed when the test ends."""
    opened = contextlib.AsyncExitStack()

    async def connect(sandbox, base_url=ORANGE, transport=None):
        client = httpx.AsyncClient(base_url=base_url, transport=transport, trust_env=False)
        await opened.enter_async_context(client)
        answer = await client.post(
            "/oauth/v3/token",
            data={"grant_type": "client_credentials"},
            headers={"Authorization": sandbox.authorization},
        )
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return client

    async with opened:
        yield connect


@pytest.fixture
async def client(sandbox, connect):
    return await connect(sandbox, transport=sandbox.transport)


@pytest.fixture
def request_for():
    """Make the body of a message request; parts given replace its own, None leaves them out."""

    def request_for(text="Bonjour", **parts):
        request = {
            "address": "tel:+2250701020304",
            "senderAddress": "tel:+2250000",
            "outboundSMSTextMessage": {"message": text},
        } | parts
        return {"outboundSMSMessageRequest": request}

    return request_for


@pytest.fixture
def send(request_for):
    """Send one message to Orange, as a client in good order does."""

    async def send(client, text="Bonjour", *, segment="tel%3A%2B2250000", query="", **parts):
        url = f"/smsmessaging/v1/outbound/{segment}/requests{query}"
        return await client.post(url, json=request_for(text, **parts))

    return send


@pytest.fixture
def serve():
    return Served


@pytest.fixture
def control(sandbox):
    """Call the sandbox's own API; what changes something goes with the page's token."""

    async def control(method, path, body=None, *, of=sandbox, **options):
        async with httpx.AsyncClient(base_url=ORANGE, transport=of.transport) as http:
            token = (await http.get("/_sandbox/token")).json()["token"]
            options.setdefault("headers", {"X-Sandbox-Token": token})
            return await http.request(method, f"/_sandbox/{path}", json=body, **options)

    return control
