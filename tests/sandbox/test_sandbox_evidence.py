"""What the sandbox shows of itself."""

import pytest

from orange_sms_async.sandbox import Sandbox


async def test_requests_are_kept(sandbox, client, send):
    """
    All of them, with what they were answered and by what id.
    """
    answer = await send(client)
    await client.get("/nowhere")
    token, message, nowhere = sandbox.requests

    assert [200, 201, 404] == [r.status for r in (token, message, nowhere)]
    assert ("POST", answer.headers["X-OAPI-Request-Id"]) == (message.method, message.request_id)
    assert "application/json" == message.headers["content-type"]


async def test_reprs_keep_secrets(sandbox, client, send):
    """
    No number, no text, no token in what ends up in logs.
    """
    await send(client, "Votre code : 424242")
    shown = f"{sandbox!r} {sandbox.sent!r} {sandbox.requests!r}"

    assert "address=tel:+225********04" in shown
    for secret in ("2250701020304", "424242", "Bearer", "2250000", sandbox.authorization):
        assert secret not in shown


async def test_statistics(sandbox, client, send):
    """
    The same numbers in Python and over HTTP; looking at them is no request to Orange.
    """
    await send(client, "a" * 161)
    await send(client, senderName="No")
    shown = (await client.get("/_sandbox/statistics")).json()

    assert {
        "accepted": 1,
        "throttled": 0,
        "refused": 1,
        "failed": 0,
        "requests": 3,
        "token_requests": 1,
        "most_in_a_second": 2,
        "units_used": 2,
        "receipts_delivered": 0,
        "receipts_undelivered": 0,
    } == shown
    assert shown["requests"] == sandbox.statistics().requests


async def test_throttled_is_not_refused(connect, send):
    """
    Each message is counted once.
    """
    sandbox = Sandbox(rate=1)
    client = await connect(sandbox, transport=sandbox.transport)
    for _ in range(3):
        await send(client)
    statistics = sandbox.statistics()

    assert (1, 2, 0) == (statistics.accepted, statistics.throttled, statistics.refused)


async def test_sent_over_http(sandbox, client, send):
    """
    What was taken, in full.
    """
    await send(client, "Bonjour")
    (shown,) = (await client.get("/_sandbox/sent")).json()

    assert ("Bonjour", "tel:+2250701020304") == (shown["text"], shown["address"])
    assert sandbox.sent[0].resource_id == shown["resource_id"]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "x", 404), ("POST", "sent", 403), ("GET", "", 404)]
)
async def test_other_controls(client, method, path, status):
    """
    There are no others.
    """
    assert status == (await client.request(method, f"/_sandbox/{path}")).status_code


@pytest.mark.real_time
async def test_over_uvicorn(sandbox, connect, send, serve):
    """
    The same answers over a socket, where one connection is one client.
    """
    with serve(sandbox) as served:
        client = await connect(sandbox, served.base_url)
        answers = [await send(client, segment=s) for s in ("tel:+2250000", "tel%3A%2B2250000")]
        large = await client.post("/oauth/v3/token", content=b"a" * 1_000_000)
        base_url = served.base_url
        await client.aclose()

    assert [201, 201] == [answer.status_code for answer in answers]
    assert answers[0].headers["Location"].startswith(f"{base_url}/smsmessaging/")
    assert 415 == large.status_code
    assert 1 == len({request.client for request in sandbox.requests})


async def test_a_client_that_goes_away(sandbox):
    """
    A body that never ends is answered by nobody, and recorded nowhere.
    """

    async def receive():
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "POST", "path": "/", "raw_path": b"/", "headers": []}
    await sandbox(scope | {"scheme": "http", "query_string": b""}, receive, None)

    assert [] == sandbox.requests


async def test_a_websocket_is_refused(sandbox):
    """
    Orange has none.
    """
    said = []

    async def send(message):
        said.append(message)

    await sandbox({"type": "websocket"}, None, send)

    assert [{"type": "websocket.close"}] == said


def test_settings_that_would_have_no_effect_cannot_be_changed(sandbox):
    """
    The rate is fixed when the sandbox is made; latency is not.
    """
    sandbox.latency = 1

    with pytest.raises(AttributeError):
        sandbox.rate = 7
