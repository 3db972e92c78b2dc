"""Orange's operations, byte for byte; and what a broken line means."""

import asyncio
import json
import ssl

import httpx
import pytest
import respx
from orange import CREDENTIALS, MESSAGE, SENT, TOKEN, URL, Orange, answer
from samples import sample

from orange_sms_async import (
    Client,
    ClientCredentials,
    ConnectionFailed,
    OrangeSMSError,
    OutboundMessage,
    OutcomeUnknown,
    RequestRejected,
    ServiceUnavailable,
    Throttled,
)
from orange_sms_async.pacing import Departure, Pacer, departure

TO = MESSAGE.to


@pytest.fixture
def orange():
    return Orange()


@pytest.fixture
async def client(orange):
    async with orange.client() as client:
        yield client


class Stalled(httpx.AsyncByteStream):
    """The body of an answer that never ends, or breaks off."""

    def __init__(self, error=None):
        self.error = error

    async def __aiter__(self):
        yield b'{"outboundSMS'
        if self.error:
            raise self.error
        await asyncio.Event().wait()


# -- on the wire ----------------------------------------------------------------------------------


async def test_the_token_request(orange, client):
    """
    As in Orange's page, section 1.
    """
    await client.ready()
    request = orange.token.calls.last.request

    assert b"grant_type=client_credentials" == request.content
    assert CREDENTIALS.header == request.headers["Authorization"]
    assert "application/x-www-form-urlencoded" == request.headers["Content-Type"]
    assert "application/json" == request.headers["Accept"]
    assert "29" == request.headers["Content-Length"]
    assert "Transfer-Encoding" not in request.headers


@pytest.mark.parametrize(
    ("options", "path", "sender"),
    [
        ({}, b"tel%3A%2B2250000/requests", {"senderAddress": "tel:+2250000"}),
        (
            {"sender_name": "My App"},
            b"tel%3A%2B2250000/requests",
            {"senderAddress": "tel:+2250000", "senderName": "My App"},
        ),
        (
            {"sender_address": "tel:+2251111"},
            b"tel%3A%2B2251111/requests",
            {"senderAddress": "tel:+2251111"},
        ),
        (
            {"on_net": True},
            b"tel%3A%2B2250000/requests?resource_type_parameter_management=SMS_OCB2",
            {"senderAddress": "tel:+2250000"},
        ),
    ],
)
async def test_a_send_request(orange, client, options, path, sender):
    """
    As in Orange's page, section 3: no sender name where none was asked for.
    """
    await client.send(OutboundMessage(TO, "Où ça ? 🙂\n", **options))
    request = orange.send.calls.last.request
    body = {"address": f"tel:{TO}", "outboundSMSTextMessage": {"message": "Où ça ? 🙂\n"}} | sender

    assert b"/smsmessaging/v1/outbound/" + path == request.url.raw_path
    assert {"outboundSMSMessageRequest": body} == json.loads(request.content)
    assert "Bearer token" == request.headers["Authorization"]
    assert "application/json" == request.headers["Content-Type"]
    assert "application/json" == request.headers["Accept"]
    assert str(len(request.content)) == request.headers["Content-Length"]


@pytest.mark.parametrize(
    ("ask", "path"),
    [
        (lambda client: client.contracts(), b"contracts"),
        (lambda client: client.contracts(country="CIV"), b"contracts?country=CIV"),
        (lambda client: client.purchase_orders(), b"purchaseorders"),
        (lambda client: client.purchase_orders(country="SEN"), b"purchaseorders?country=SEN"),
        (lambda client: client.statistics(), b"statistics"),
        (lambda client: client.statistics(country="CIV"), b"statistics?country=CIV"),
        (lambda client: client.statistics(app_id="a b"), b"statistics?appid=a%20b"),
        (
            lambda client: client.statistics(country="CIV", app_id="app"),
            b"statistics?country=CIV&appid=app",
        ),
    ],
)
async def test_a_question(orange, client, ask, path):
    """
    As in Orange's page, section 5: no filter, one or two, and no body.
    """
    if b"statistics" in path:
        orange.account.respond(content=sample("account/statistics.json"))

    await ask(client)
    request = orange.account.calls.last.request

    assert b"/sms/admin/v1/" + path == request.url.raw_path.replace(b"a+b", b"a%20b")
    assert ("Bearer token", b"") == (request.headers["Authorization"], request.content)
    assert "application/json" == request.headers["Accept"]


async def test_the_account_is_read(orange, client):
    """
    An answer of each operation becomes values.
    """
    orange.account.side_effect = [
        httpx.Response(200, content=sample(f"account/{name}_production.json"))
        for name in ("contracts", "statistics", "purchaseorders")
    ]

    assert 169 == (await client.contracts())[0].available_units
    assert 38 == (await client.statistics())[1].nb_enforcements
    assert 725 == (await client.purchase_orders())[0].price


async def test_a_refused_question(orange, client):
    """
    It is asked once, and is no unknown outcome.
    """
    orange.account.respond(500)

    with pytest.raises(ServiceUnavailable):
        await client.contracts()

    assert 1 == orange.account.call_count


@pytest.mark.parametrize("broken", [httpx.ConnectError, httpx.ReadError, ssl.SSLError])
async def test_a_question_that_is_not_answered(orange, client, broken):
    """
    Without a body nothing tells whether it left, and it does not matter.
    """
    orange.account.side_effect = broken

    with pytest.raises(ConnectionFailed, match=f"no answer from https.*{broken.__name__}"):
        await client.contracts()


# -- what Orange took -----------------------------------------------------------------------------

ID = "81e4296d-1f4a-4c0b-9d3e-0a51e2f1c7aa"


def sent(url):
    return json.dumps({"outboundSMSMessageRequest": {"resourceURL": url}}).encode()


@pytest.mark.parametrize(
    ("body", "location", "resource_id"),
    [
        (sample("send/201.json"), None, ID),
        (sample("send/201_page.json"), None, ID),
        (sent(URL), f"{URL}-not-this", "81e4296d-aa"),
        (sent(None), URL, "81e4296d-aa"),
        (sent(""), URL, "81e4296d-aa"),
        (sent(7), URL, "81e4296d-aa"),
        (sent("https://api.orange.com/requests/"), URL, "81e4296d-aa"),
        (b"", URL, "81e4296d-aa"),
        (b"<html>", URL, "81e4296d-aa"),
        (b"[]", URL, "81e4296d-aa"),
        (b"[" * 100_000, URL, "81e4296d-aa"),
    ],
)
async def test_the_resource_id(orange, client, body, location, resource_id):
    """
    The last part of resourceURL, else of Location.
    """
    headers = {"X-OAPI-Request-Id": "request-7"} | ({"Location": location} if location else {})
    orange.send.respond(201, content=body, headers=headers)

    taken = await client.send(MESSAGE)

    assert (resource_id, "request-7") == (taken.resource_id, taken.request_id)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", sent(None), sent(["a/b"]), b"[" * 100_000])
async def test_taken_but_who_knows_as_what(orange, client, body):
    """
    A 201 that cannot be read was a 201: never send again.
    """
    orange.send.respond(201, content=body, headers={"X-OAPI-Request-Id": "request-7"})

    with pytest.raises(OutcomeUnknown, match="took the message") as caught:
        await client.send(MESSAGE)

    assert caught.value.accepted
    assert (201, "request-7") == (caught.value.status_code, caught.value.request_id)
    assert 1 == orange.send.call_count


@pytest.mark.parametrize(
    "stalled", [Stalled(httpx.ReadError("lost")), Stalled(ssl.SSLError("bad record")), Stalled()]
)
async def test_a_201_that_breaks_off(orange, stalled):
    """
    Its Location counts; without one it is accepted all the same.
    """
    located = httpx.Response(201, headers={"Location": URL}, stream=stalled)
    orange.send.side_effect = [located, httpx.Response(201, stream=stalled)]

    async with orange.client(timeout=3) as client:
        assert "81e4296d-aa" == (await client.send(MESSAGE)).resource_id
        with pytest.raises(OutcomeUnknown) as caught:
            await client.send(MESSAGE)

    assert caught.value.accepted
    assert 2 == orange.send.call_count


async def test_a_201_that_cannot_be_unpacked(orange, client):
    """
    A body that is not what its headers say breaks nothing more than the body.
    """
    headers = {"Location": URL, "Content-Encoding": "gzip"}
    orange.send.mock(return_value=httpx.Response(201, headers=headers, stream=Stalled()))
    assert "81e4296d-aa" == (await client.send(MESSAGE)).resource_id


# -- one attempt is one post ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "broken",
    [
        httpx.ReadError,
        httpx.ReadTimeout,
        httpx.WriteError,
        httpx.WriteTimeout,
        httpx.RemoteProtocolError,
        ssl.SSLError,
        *[httpx.Response(status) for status in (200, 202, 302, 408, 500, 502, 503, 504)],
        httpx.Response(500, stream=Stalled(httpx.ReadError("lost"))),
    ],
    ids=lambda broken: getattr(broken, "__name__", None) or str(broken.status_code),
)
async def test_it_may_have_been_sent(orange, client, broken):
    """
    No clear answer: one post, never repeated, whatever broke.
    """
    orange.send.mock(side_effect=[broken, answer(201, **SENT)])

    with pytest.raises(OutcomeUnknown) as caught:
        await client.send(MESSAGE)

    assert not caught.value.accepted
    assert 1 == orange.send.call_count


BROKEN = [
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.ReadError,
    httpx.WriteError,
    httpx.RemoteProtocolError,
    ssl.SSLError,
    OSError,
    RuntimeError,
]


@pytest.mark.parametrize("broken", BROKEN)
async def test_it_never_left(broken):
    """
    The body had not begun to leave, whatever the transport calls it: certainly not sent, and not
    tried again by itself either.
    """
    transport = Mute(reads=False, raises=broken)

    async with Client(CREDENTIALS, transport=transport) as client:
        with pytest.raises(ConnectionFailed, match="no connection to https") as caught:
            await client.send(MESSAGE)

    assert isinstance(caught.value, ConnectionError)
    assert 1 == transport.posts


@pytest.mark.parametrize("broken", BROKEN)
async def test_it_left_before_the_line_broke(broken):
    """
    The body had begun to leave: nobody knows, though the transport says it never connected.
    """
    transport = Mute(reads=True, raises=broken)

    async with Client(CREDENTIALS, transport=transport) as client:
        with pytest.raises(OutcomeUnknown, match=f"was lost .{broken.__name__}"):
            await client.send(MESSAGE)

    assert 1 == transport.posts


async def test_an_answer_is_an_error_with_its_particulars(orange, client):
    """
    Status, code and request id are attributes; send repeats none but an expired token.
    """
    orange.send.respond(403, json={"code": 53}, headers={"X-OAPI-Request-Id": "request-7"})

    with pytest.raises(Throttled) as caught:
        await client.send(MESSAGE)

    error = caught.value
    assert (403, 53, "request-7") == (error.status_code, error.code, error.request_id)
    assert 1 == orange.send.call_count


class Mute(httpx.AsyncBaseTransport):
    """Answers token requests, and no message; whether it takes the message's body is said."""

    def __init__(self, *, reads, raises=None):
        self.reads, self.raises, self.posts = reads, raises, 0

    async def handle_async_request(self, request):
        if request.url.path.startswith("/oauth"):
            return answer(200, **TOKEN)
        self.posts += 1
        if self.reads:
            await request.aread()
        if self.raises:
            raise self.raises("words")
        return await asyncio.Event().wait()


@pytest.mark.parametrize(("reads", "error"), [(True, OutcomeUnknown), (False, ConnectionFailed)])
async def test_no_answer_in_time(reads, error):
    """
    Whether it may have been sent depends on whether it began to leave.
    """
    transport = Mute(reads=reads)
    loop = asyncio.get_running_loop()

    async with Client(CREDENTIALS, transport=transport, timeout=7) as client:
        start = loop.time()
        with pytest.raises(error, match="no answer in time") as caught:
            await client.send(MESSAGE)

    assert 7 == pytest.approx(loop.time() - start, abs=0.01)
    assert (error, 1) == (type(caught.value), transport.posts)


async def test_cancelling_is_no_time_out():
    """
    Who cancels a send gets a cancellation.
    """
    transport = Mute(reads=True)

    async with Client(CREDENTIALS, transport=transport) as client:
        task = asyncio.create_task(client.send(MESSAGE))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert 1 == transport.posts


async def test_the_longest_a_request_takes(orange):
    """
    It is for the whole and asks nothing of the parts.
    """
    async with orange.client(timeout=7) as client:
        await client.send(MESSAGE)

        assert 7 == client.timeout
    parts = orange.send.calls.last.request.extensions["timeout"]
    assert httpx.Timeout(None).as_dict() == parts


# -- the block ------------------------------------------------------------------------------------


class Open(httpx.MockTransport):
    closed = 0

    async def aclose(self):
        self.closed += 1


def test_one_client_serves_several_runs_with_one_token(orange):
    """
    And never closes the transport it was lent.
    """
    transport = Open(orange.async_handler)
    client = Client(CREDENTIALS, transport=transport)

    async def run():
        async with client:
            await asyncio.gather(client.send(MESSAGE), client.send(MESSAGE))

    for _ in range(3):
        asyncio.run(run())

    assert (1, 6, 0) == (orange.token.call_count, orange.send.call_count, transport.closed)


@pytest.mark.parametrize("left", [False, True])
async def test_outside_the_block(orange, left):
    """
    Before and after it there is no connection to use.
    """
    client = orange.client()
    if left:
        async with client:
            await client.ready()

    with pytest.raises(RuntimeError, match="async with"):
        await client.send(MESSAGE)


async def test_a_block_in_the_block(orange, client):
    """
    It is an error, and the outer one still works.
    """
    with pytest.raises(RuntimeError, match="already"):
        async with client:
            pass

    await client.send(MESSAGE)


async def test_leaving_twice_is_harmless(client):
    """
    An exit stack may do that.
    """
    await client.__aexit__(None, None, None)


@respx.mock(base_url="http://sandbox.test:8000", assert_all_called=True)
async def test_a_transport_of_its_own(respx_mock):
    """
    Without one given, httpx's own is used, at any address.
    """
    respx_mock.post("/oauth/v3/token").respond(json=TOKEN)
    respx_mock.post("/smsmessaging/v1/outbound/tel%3A%2B2250000/requests").respond(201, json=SENT)

    async with Client(CREDENTIALS, base_url="http://sandbox.test:8000") as client:
        assert "81e4296d-aa" == (await client.send(MESSAGE)).resource_id


# -- the environment ------------------------------------------------------------------------------

ENVIRONMENT = {
    "ORANGE_SMS_CLIENT_ID": "the-client-id",
    "ORANGE_SMS_CLIENT_SECRET": "the-client-secret",
    "ORANGE_SMS_BASE_URL": "http://localhost:8000",
}


@pytest.fixture
def environment(monkeypatch):
    for name in (*ENVIRONMENT, "ORANGE_SMS_AUTHORIZATION"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch.setenv


@pytest.mark.parametrize(
    ("variables", "base_url"),
    [
        (ENVIRONMENT, "http://localhost:8000"),
        (ENVIRONMENT | {"ORANGE_SMS_BASE_URL": ""}, "https://api.orange.com"),
        ({"ORANGE_SMS_AUTHORIZATION": CREDENTIALS.header}, "https://api.orange.com"),
        (
            {"ORANGE_SMS_AUTHORIZATION": CREDENTIALS.header, "ORANGE_SMS_CLIENT_ID": "another"},
            "https://api.orange.com",
        ),
    ],
)
async def test_a_client_of_the_environment(environment, respx_mock, variables, base_url):
    """
    Id and secret, or the portal's header, which goes first; and where Orange is.
    """
    for name, value in variables.items():
        environment(name, value)
    token = respx_mock.post(f"{base_url}/oauth/v3/token").respond(json=TOKEN)

    async with Client.from_env() as client:
        await client.ready()

    assert CREDENTIALS.header == token.calls.last.request.headers["Authorization"]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"ORANGE_SMS_CLIENT_ID": ""}, "ORANGE_SMS_CLIENT_ID is not set"),
        ({"ORANGE_SMS_CLIENT_SECRET": ""}, "ORANGE_SMS_CLIENT_SECRET is not set"),
        ({"ORANGE_SMS_BASE_URL": "localhost"}, "ORANGE_SMS_BASE_URL: .*start with http"),
        ({"ORANGE_SMS_AUTHORIZATION": "Bearer secret"}, "ORANGE_SMS_AUTHORIZATION: .*base64"),
    ],
)
def test_a_missing_or_wrong_variable_is_named(environment, changed, named):
    """
    And its value is not shown.
    """
    for name, value in (ENVIRONMENT | changed).items():
        environment(name, value)

    with pytest.raises(ValueError, match=named) as caught:
        Client.from_env()

    assert "the-client" not in str(caught.value)


@pytest.mark.parametrize(
    "base_url",
    [
        *("", "api.orange.com", "ftp://api.orange.com", "https://me:secret@host"),
        *("http://host:port", "http://host:99999"),
    ],
)
def test_an_address_that_is_none(base_url):
    """
    It is said at once, not by the first message.
    """
    with pytest.raises(ValueError, match="base_url"):
        Client(ClientCredentials("id", "secret"), base_url=base_url)


async def test_every_error_of_a_send_is_ours(orange, client):
    """
    Nothing of httpx comes out: one `except` takes them all.
    """
    orange.send.side_effect = [httpx.ReadError, answer(400, code=22)]

    for expected in (OutcomeUnknown, RequestRejected):
        with pytest.raises(OrangeSMSError) as caught:
            await client.send(MESSAGE)
        assert expected is type(caught.value)


async def test_an_attempt_tells_when_it_leaves(orange, client):
    """
    The pacer hears of it then, not with the answer and not of the token's request.
    """
    heard = []

    async def slow(_):
        heard.append((len(pacer.left_at), pacer.leaving))
        await asyncio.sleep(5)
        return answer(201, **SENT)

    orange.send.side_effect = slow
    pacer = Pacer(5)
    departure.set(Departure(pacer))
    await client.attempt(MESSAGE)

    assert [(1, 0)] == heard
    assert 1 == len(pacer.left_at)
