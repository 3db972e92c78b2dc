"""No number, text, token or secret is in what we raise, show or log."""

import base64
import json
import logging
import traceback
from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest

from orange_sms_async import (
    Client,
    ClientCredentials,
    DeliveryReceipt,
    InboundMessage,
    InvalidMessage,
    InvalidReceipt,
    OrangeSMSError,
    OutboundMessage,
    PurchaseOrder,
    ResourceId,
    decode_inbound,
    decode_receipt,
)

_log = logging.getLogger(__name__)

NUMBER = "2250705060708"
TEXT = 'Code "Ébène" \\ 48-21'
TOKEN = "eyJ0.canary-token.sig"
CREDENTIALS = ClientCredentials("canary-client-id", "canary-client-secret")
MESSAGE = OutboundMessage(f"+{NUMBER}", TEXT)
CANARIES = [
    NUMBER,
    NUMBER[3:],
    TEXT,
    json.dumps(TEXT)[1:-1],
    "Ébène",
    json.dumps("Ébène")[1:-1],
    "48-21",
    TOKEN,
    CREDENTIALS.id,
    CREDENTIALS.secret,
    base64.b64encode(f"{CREDENTIALS.id}:{CREDENTIALS.secret}".encode()).decode(),
]


def heard(request):
    """What Orange heard: all of it, and the parts that it may repeat alone."""
    yield request.headers["Authorization"]
    yield request.headers["Authorization"].partition(" ")[2]
    yield str(request.headers.raw)
    yield f"no: {request.content.decode()}"
    message = request.url.path.startswith("/smsmessaging")
    yield TEXT if message else CREDENTIALS.secret if "oauth" in request.url.path else TOKEN
    yield f"+{NUMBER}" if message else CREDENTIALS.id if "oauth" in request.url.path else "/"


def e1(word):
    return {"code": 24, "message": word, "description": word}


def e1_code(word):
    return {"code": word, "message": "Invalid"}


def e2(word):
    return {"error": word, "error_description": word}


def e3(word):
    content = {"messageId": "POL0001", "text": word, "variables": [word, word]}
    return {"requestError": {"policyException": content}}


def e3_id(word):
    return {"requestError": {"serviceException": {"messageId": word, "variables": word}}}


def html(word):
    return f"<html><body>Bad request: {word}</body></html>"


class Parrot(httpx.AsyncBaseTransport):
    """Repeats what it heard in the body and the headers of every answer."""

    def __init__(self, status, envelope, part, *, token=None):
        self.status, self.envelope, self.part, self.token = status, envelope, part, token

    async def handle_async_request(self, request):
        _log.info("asked")
        await request.aread()
        if self.token and request.url.path.startswith("/oauth"):
            return httpx.Response(200, json={"access_token": self.token})
        word = [*heard(request)][self.part]
        body = self.envelope(word)
        content = body if isinstance(body, str) else json.dumps(body)
        echo = word.encode("latin-1", "replace")
        headers = {"X-OAPI-Request-Id": echo, "X-Echo": echo, "Content-Type": "text/html"}
        return httpx.Response(self.status, content=content, headers=headers)


def assert_says_nothing(error):
    shown = [
        repr(error),
        str(error),
        repr(error.args),
        repr(getattr(error, "code", None)),
        getattr(error, "reason", ""),
        "".join(traceback.format_exception(error, chain=True)),
    ]
    for canary in CANARIES:
        assert not [text for text in shown if canary in text]


@pytest.fixture
def records(caplog):
    """Run the test with every logger at DEBUG, and look at what was written after it."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="orange_sms_async")
    yield
    written = [record.getMessage() + str(record.exc_info) for record in caplog.get_records("call")]
    assert written  # Orange tells of each request
    assert not [canary for canary in CANARIES if canary in "".join(written)]


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize("status", [201, 302, 400, 401, 403, 503])
@pytest.mark.parametrize("envelope", [e1, e1_code, e2, e3, e3_id, html])
@pytest.mark.parametrize("part", range(6))
async def test_an_orange_that_repeats_what_it_heard(status, envelope, part):
    """
    Whatever it says of a message, a question or credentials, an error shows none of them.
    """
    asked = 0
    for token in (TOKEN, None):
        transport = Parrot(status, envelope, part, token=token)
        async with Client(CREDENTIALS, transport=transport) as client:
            for ask in (lambda: client.send(MESSAGE), client.contracts):
                with pytest.raises(OrangeSMSError) as caught:
                    await ask()
                assert_says_nothing(caught.value)
                asked += 1

    assert 4 == asked


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize("token", [f"{TOKEN}\r\nX: y", f"{TOKEN} é"])
async def test_a_token_that_no_header_can_hold(token):
    """
    The library that would refuse it would show it.
    """
    async with Client(CREDENTIALS, transport=Parrot(400, e1, 0, token=token)) as client:
        with pytest.raises(OrangeSMSError) as caught:
            await client.send(MESSAGE)

    assert_says_nothing(caught.value)


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize(
    "broken", [httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError, httpx.ReadTimeout]
)
async def test_a_line_that_breaks_with_words(broken):
    """
    What an HTTP library says of a line may hold what went over it.
    """

    def breaks(request):
        _log.info("asked")
        if request.url.path.startswith("/oauth"):
            return httpx.Response(200, json={"access_token": TOKEN})
        raise broken(f"illegal: {request.headers.raw} {request.content.decode()} {TEXT}")

    async with Client(CREDENTIALS, transport=httpx.MockTransport(breaks)) as client:
        for ask in (lambda: client.send(MESSAGE), client.contracts):
            with pytest.raises(OrangeSMSError) as caught:
                await ask()
            assert_says_nothing(caught.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: OutboundMessage(NUMBER, TEXT),
        lambda: OutboundMessage(f"+999{NUMBER[3:]}", TEXT),
        lambda: OutboundMessage(f"+{NUMBER}", TEXT + "\ud83d"),
        lambda: OutboundMessage(f"+{NUMBER}", TEXT, sender_name=TEXT),
        lambda: OutboundMessage(f"+{NUMBER}", TEXT, sender_address=NUMBER),
        lambda: decode_receipt(json.dumps({"deliveryInfoNotification": {"a": NUMBER, "b": TEXT}})),
        lambda: decode_receipt(f"{NUMBER} {TEXT}"),
        lambda: decode_inbound({"inboundSMSMessageNotification": {"inboundSMSMessage": TEXT}}),
        lambda: decode_inbound(TEXT.encode()),
    ],
)
def test_values_that_cannot_be(make):
    """
    What is wrong is told by rule, not by value; nor does the chain of the traceback tell it.
    """
    with pytest.raises((InvalidMessage, InvalidReceipt)) as caught:
        make()

    # The line of this file that made it is no part of what is checked.
    caught.value.__traceback__ = None
    assert_says_nothing(caught.value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (CREDENTIALS, "ClientCredentials()"),
        (Client(CREDENTIALS), "<Client https://api.orange.com>"),
        (MESSAGE, "to=+225******08"),
        (
            DeliveryReceipt(resource_id=ResourceId("id"), status="New", address=f"tel:+{NUMBER}"),
            "address=+225******08",
        ),
        (
            InboundMessage(
                sender_address=f"tel:+{NUMBER}", destination_address="+225111", message=TEXT
            ),
            "sender_address=+225******08",
        ),
        (
            PurchaseOrder(
                country="CIV",
                offer_name="SMS_OCB",
                price=Decimal(725),
                currency="XOF",
                purchase_date=datetime(2023, 8, 26, tzinfo=UTC),
                payer_id=NUMBER,
            ),
            "PurchaseOrder(country='CIV'",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_representations(value, shown):
    """
    A value can be printed: numbers as a person recognises them, the rest not at all.
    """
    assert shown in repr(value)
    assert not [canary for canary in CANARIES if canary in repr(value) + str(value)]


@pytest.mark.usefixtures("records")
async def test_a_token_is_not_shown_where_it_is_kept():
    """
    Not even to who looks inside a client.
    """
    transport = Parrot(403, e1, 0, token=TOKEN)
    async with Client(CREDENTIALS, transport=transport) as client:
        await client.ready()

        assert TOKEN not in repr(client) + repr(await client._token.get())
