"""The endpoint: what is let in, what is answered, and who hears of it."""

import asyncio
import http.client
import json
import logging
import os
import socket
import threading
from ipaddress import ip_address, ip_network
from urllib.parse import urlencode

import attrs
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from line import sms
from samples import sample

from orange_sms_async import Client, ClientCredentials, DeliveryReceipt, InboundMessage
from orange_sms_async._served import Served
from orange_sms_async.clock import JumpingLoop
from orange_sms_async.receiver import ReceiptReceiver, ReceiverStatistics
from orange_sms_async.sandbox import Sandbox

SECRET = "made-up-Zb8s_X0"
NUMBER = "2250701020304"
ORANGE = "203.0.113.7"
RECEIPT = sample("receipts/delivered.json")
REPLY = sample("receipts/reply.json")


class Post:
    """One request, from a server that is not there."""

    def __init__(self, body=RECEIPT, *, pieces=None, pause=0.0, after=(), **scope):
        self.pieces = iter([body] if pieces is None else pieces)
        self.pause, self.after = pause, iter(after)
        self.sent = []
        self.scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": f"/receipts/{SECRET}",
            "query_string": b"",
            "headers": [],
            "client": (ORANGE, 4711),
        } | scope

    async def receive(self):
        if self.pause:
            await asyncio.sleep(self.pause)
        for piece in self.pieces:
            return {"type": "http.request", "body": piece, "more_body": True}
        for message in self.after:
            return message
        return {"type": "http.request"}

    async def send(self, message):
        self.sent.append(message)

    async def to(self, receiver):
        """Return the status; None where nothing was answered."""
        await receiver(self.scope, self.receive, self.send)
        return self.sent[0]["status"] if self.sent else None

    @property
    def headers(self):
        return dict(self.sent[0]["headers"])


@pytest.fixture
def heard():
    return []


@pytest.fixture
def receiver(heard):
    return ReceiptReceiver(heard.append, heard.append, secret=SECRET)


# -- receipts and replies -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["on_receipt", "on_inbound"])
@pytest.mark.parametrize("is_async", [False, True])
async def test_what_is_posted_is_handed_over(heard, name, is_async):
    """
    A receipt and a reply each to its own callback, be that a function or a coroutine function.
    """

    async def later(posted):
        await asyncio.sleep(1)
        heard.append(posted)

    callbacks = {"on_receipt": lambda _: None, "on_inbound": lambda _: None}
    callbacks[name] = later if is_async else heard.append
    receiver = ReceiptReceiver(**callbacks)

    assert [200, 200] == [await Post(body).to(receiver) for body in (RECEIPT, REPLY)]
    assert [DeliveryReceipt if name == "on_receipt" else InboundMessage] == [*map(type, heard)]
    assert ReceiverStatistics(receipts=1, replies=1) == receiver.statistics()


async def test_kept_then_answered_then_handed_over():
    """
    In this order and in one call; for a duplicate too.
    """
    order = []

    class Store:
        async def keep(self, receipt):
            order.append(("kept", receipt.resource_id[:4]))

    class Ordered(Post):
        async def send(self, message):
            order.append(message["type"])
            await super().send(message)

    receiver = ReceiptReceiver(lambda receipt: order.append(receipt.status), store=Store())
    answers = [await Ordered().to(receiver), await Ordered().to(receiver)]

    once = [("kept", "81e4"), "http.response.start", "http.response.body", "DeliveredToTerminal"]
    assert [200, 200] == answers
    assert once * 2 == order


async def test_a_reply_without_anybody_to_hear_it():
    """
    Is answered 200 and counted; a store is for receipts only.
    """
    receiver = ReceiptReceiver(lambda _: None, store=Failing())

    assert 200 == await Post(REPLY).to(receiver)
    assert ReceiverStatistics(replies=1) == receiver.statistics()


class Failing:
    """Fails with what must not be logged."""

    async def keep(self, receipt):
        raise OSError(f"no room for {receipt.address} of {SECRET}")

    def __call__(self, posted):
        raise LookupError(f"{posted} {NUMBER} {SECRET}")

    async def later(self, posted):
        self(posted)


async def test_a_store_that_fails(heard, caplog):
    """
    503, so that Orange may post it again; nobody is told of a receipt that is not safe.
    """
    receiver = ReceiptReceiver(heard.append, store=Failing())

    assert 503 == await Post().to(receiver)
    assert [] == heard
    assert ["a receipt could not be kept: OSError"] == caplog.messages
    assert ReceiverStatistics(not_kept=1) == receiver.statistics()


@pytest.mark.parametrize("callback", [Failing(), Failing().later])
async def test_a_callback_that_fails(caplog, callback):
    """
    Is ours to log, by class name only, and not Orange's to hear.
    """
    receiver = ReceiptReceiver(callback, callback)

    assert [200, 200] == [await Post(body).to(receiver) for body in (RECEIPT, REPLY)]
    assert ["on_receipt raised LookupError", "on_inbound raised LookupError"] == caplog.messages
    assert not any(record.exc_info for record in caplog.records)
    assert 2 == receiver.statistics().failed_callbacks


async def test_nobody_is_there_for_the_answer(receiver, heard):
    """
    The receipt is handed over all the same.
    """

    class Gone(Post):
        async def send(self, message):
            raise OSError

    await Gone().to(receiver)

    assert 1 == len(heard)


# -- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS", "post", "\u00e9"])
async def test_other_methods(receiver, method):
    """
    405, which tells that something is here only to who knows the secret.
    """
    post = Post(method=method)

    assert 405 == await post.to(receiver)
    assert b"POST" == post.headers[b"allow"]
    assert 404 == await Post(method=method, path="/receipts/guess").to(receiver)
    assert ReceiverStatistics(wrong_method=1, not_found=1) == receiver.statistics()


INFO = {"address": "tel:+2250701020304", "deliveryStatus": "\ud83d"}
NOT_RECEIPTS = [
    b"",
    b"null",
    b"{}",
    b"<html>",
    b"\xff\xfe\x00",
    b"[" * 60_000,
    b"9" * 5_000,
    RECEIPT[:-2],
    b'{"deliveryInfoNotification":' * 2_000,
    json.dumps({"deliveryInfoNotification": {"deliveryInfo": INFO}}).encode(),
]


@pytest.mark.parametrize("body", NOT_RECEIPTS, ids=range(len(NOT_RECEIPTS)))
async def test_not_a_receipt(receiver, heard, caplog, body):
    """
    400, also for half a character, which no database takes.
    """
    assert 400 == await Post(body).to(receiver)
    assert ([], []) == (heard, caplog.messages)
    assert ReceiverStatistics(unreadable=1) == receiver.statistics()


ODD_RECEIPTS = [
    {"callbackData": ""},
    {"callbackData": None},
    {"deliveryInfo": INFO | {"deliveryStatus": "DeliveredToPigeon"}},
    {"sequence": 7},
]


@pytest.mark.parametrize("odd", ODD_RECEIPTS)
async def test_odd_receipts_are_receipts(receiver, heard, odd):
    """
    What matches nothing is kept, not refused.
    """
    body = json.loads(RECEIPT)
    body["deliveryInfoNotification"] |= odd

    assert 200 == await Post(json.dumps(body).encode()).to(receiver)
    assert 1 == len(heard)


@pytest.mark.parametrize(
    ("declared", "status"),
    [
        (b"1000", 200),
        (b"1001", 413),
        (b"9" * 19, 413),
        (b"9" * 5_000, 413),
        (b"-1", 200),
        (b"many", 200),
    ],
)
async def test_a_length_that_is_declared(heard, declared, status):
    """
    Too much is refused before any of it is read; nonsense is the server's to refuse.
    """
    receiver = ReceiptReceiver(heard.append, max_body=1_000)
    post = Post(headers=[(b"Content-Length", declared)])

    assert status == await post.to(receiver)
    assert (status == 413) == (post.headers.get(b"connection") == b"close")
    assert (status == 413) == (next(post.pieces, None) is not None)


def endless(piece):
    while True:
        yield piece


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([RECEIPT, b" " * (1_000 - len(RECEIPT))], 200),
        ([RECEIPT, b" " * (1_001 - len(RECEIPT))], 413),
        ([RECEIPT[:9], b"", RECEIPT[9:], b""], 200),
        (endless(b" "), 413),
        (endless(b""), 413),
    ],
    ids=["all of it", "one too many", "empty pieces", "endless", "endless nothing"],
)
async def test_a_body_in_pieces(heard, pieces, status):
    """
    Counted while it comes; a body of nothing without end is too large as well.
    """
    receiver = ReceiptReceiver(heard.append, max_body=1_000)

    assert status == await Post(pieces=pieces).to(receiver)
    assert (status == 413) == (receiver.statistics().too_large == 1)


@pytest.mark.parametrize("piece", [b"", b" "])
@pytest.mark.parametrize("pause", [0.01, 3, 3_600])
async def test_a_slow_body(receiver, piece, pause):
    """
    408 after ten seconds, however it drips.
    """
    start = asyncio.get_running_loop().time()

    assert 408 == await Post(pieces=endless(piece), pause=pause).to(receiver)
    assert 10 == pytest.approx(asyncio.get_running_loop().time() - start)
    assert ReceiverStatistics(too_slow=1) == receiver.statistics()


async def test_who_leaves_in_the_middle(receiver, heard, caplog):
    """
    Is answered nothing, counted, and no error.
    """
    post = Post(pieces=[RECEIPT[:9]], after=[{"type": "http.disconnect"}])

    assert await post.to(receiver) is None
    assert ([], []) == (heard, caplog.messages)
    assert ReceiverStatistics(disconnected=1) == receiver.statistics()


async def test_http_2_has_no_header_to_close_a_line(receiver):
    """
    Its libraries refuse an answer that has one.
    """
    post = Post(method="GET", http_version="2")
    await post.to(receiver)

    assert {b"content-length": b"0", b"allow": b"POST"} == post.headers


# -- the secret ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        (f"/receipts/{SECRET}", "", 200),
        (f"/{SECRET}", "", 200),
        (f"/receipts/{SECRET}/", "", 200),
        ("/receipts", f"token={SECRET}", 200),
        ("/receipts/", f"a=b&token={SECRET}&token=guess", 200),
        ("/receipts/guess", f"token={SECRET}", 200),
        (f"/receipts/{SECRET}/more", "", 404),
        (f"/receipts/{SECRET[:-1]}", "", 404),
        (f"/receipts/{SECRET}x", "", 404),
        (f"/receipts/{SECRET.upper()}", "", 404),
        ("/receipts/\u00e9\udcff", "", 404),
        ("/receipts", "", 404),
        ("/", "", 404),
        ("", "", 404),
        ("/receipts", "token=", 404),
        ("/receipts", "token=guess", 404),
        ("/receipts", f"Token={SECRET}", 404),
        ("/receipts", f"token=guess&token={SECRET}", 404),
        ("/receipts", f"token[]={SECRET}", 404),
    ],
)
async def test_the_secret(receiver, heard, path, query, status):
    """
    The last segment of the path or the first token of the query; near is not near enough.
    """
    assert status == await Post(path=path, query_string=query.encode()).to(receiver)
    assert (status == 200) == (len(heard) == 1)


@pytest.mark.parametrize("path", ["/old", "/new"])
async def test_one_secret_replaces_another(heard, path):
    """
    While it does, both are right.
    """
    assert 200 == await Post(path=path).to(ReceiptReceiver(heard.append, secret=["new", "old"]))


async def test_a_secret_of_any_letters(heard):
    """
    Compared as bytes; in a query it is quoted.
    """
    receiver = ReceiptReceiver(heard.append, secret="s\u00e9same+& ouvre-toi")
    query = urlencode({"token": "s\u00e9same+& ouvre-toi"}).encode()

    assert 200 == await Post(path="/s\u00e9same+& ouvre-toi").to(receiver)
    assert 200 == await Post(path="/", query_string=query).to(receiver)
    assert 404 == await Post(path="/", query_string=b"token=s\xe9same").to(receiver)


@pytest.mark.parametrize(
    "setting",
    [
        {"secret": ""},
        {"secret": []},
        {"secret": ["good", ""]},
        {"secret": "canary/secret"},
        {"max_body": 0},
        {"allowed_sources": ["orange.com"]},
        {"trusted_proxies": ["10.0.0.1/8"]},
    ],
)
def test_settings_that_cannot_be(setting):
    """
    An empty secret would let in a path that ends in a slash; none is shown.
    """
    with pytest.raises(ValueError, match=r"secret|max_body|address|network|host bits") as wrong:
        ReceiptReceiver(print, **setting)

    assert "canary" not in str(wrong.value)


async def test_both_refusals_look_alike(heard):
    """
    Wrong secret and wrong source are one answer, to the last byte, and the body is not read.
    """
    receiver = ReceiptReceiver(heard.append, secret=SECRET, allowed_sources=[ORANGE])
    wrong = [Post(path="/guess"), Post(client=("198.51.100.1", 1)), Post(method="GET", path="/x")]

    assert [404, 404, 404] == [await post.to(receiver) for post in wrong]
    assert wrong[0].sent == wrong[1].sent == wrong[2].sent
    assert all(next(post.pieces) for post in wrong)
    assert ReceiverStatistics(not_found=3) == receiver.statistics()


# -- the source ---------------------------------------------------------------------------------

PROXY, FARTHER = "10.0.0.1", "10.0.0.2"


@pytest.mark.parametrize(
    ("allowed", "peer", "status"),
    [
        ((), "198.51.100.1", 200),
        ((), None, 200),
        ([ORANGE], ORANGE, 200),
        (ORANGE, ORANGE, 200),
        (["203.0.113.0/24"], ORANGE, 200),
        ([ip_address(ORANGE)], ORANGE, 200),
        ([ip_network("203.0.113.0/24")], ORANGE, 200),
        ([ORANGE], f"::ffff:{ORANGE}", 200),
        (["2001:db8::/32"], "2001:db8::17", 200),
        (["fe80::/10"], "fe80::1%eth0", 200),
        ([ORANGE], "203.0.113.8", 404),
        (["203.0.113.0/24"], "2001:db8::17", 404),
        ([ORANGE], "testclient", 404),
        ([ORANGE], "", 404),
        ([ORANGE], None, 404),
    ],
)
async def test_sources(heard, allowed, peer, status):
    """
    Addresses and networks; who has no address is nobody that was allowed.
    """
    receiver = ReceiptReceiver(heard.append, allowed_sources=allowed)

    assert status == await Post(client=peer and (peer, 4711)).to(receiver)


# Header lines as they arrive, and whether they show Orange through the proxies 10.0.0.0/24.
BELIEVED = [
    ({}, False),
    # X-Forwarded-For: the last address that is no proxy of ours.
    ({"x-forwarded-for": ORANGE}, True),
    ({"X-Forwarded-For": f" {ORANGE} "}, True),
    ({"x-forwarded-for": f"{ORANGE}:443"}, True),
    ({"x-forwarded-for": f'"{ORANGE}"'}, True),
    ({"x-forwarded-for": f"{ORANGE}, {FARTHER}"}, True),
    ({"x-forwarded-for": f"198.51.100.1, {ORANGE}, {FARTHER}, {FARTHER}"}, True),
    ({"x-forwarded-for": f"unknown,,{ORANGE}"}, True),
    ({"x-forwarded-for": "2001:db8::17"}, True),
    ({"x-forwarded-for": "[2001:db8::17]"}, True),
    ({"x-forwarded-for": "[2001:db8::17]:4711"}, True),
    ({"x-forwarded-for": f"::ffff:{ORANGE}"}, True),
    ({"x-forwarded-for": f"{ORANGE}, 198.51.100.1"}, False),
    ({"x-forwarded-for": f"{ORANGE}, unknown"}, False),
    ({"x-forwarded-for": f"{ORANGE}, unknown, {FARTHER}"}, False),
    ({"x-forwarded-for": f"{ORANGE},"}, False),
    ({"x-forwarded-for": f"{ORANGE}, 203.0.113.999"}, False),
    ({"x-forwarded-for": f"{ORANGE} {ORANGE}"}, False),
    ({"x-forwarded-for": f"[{ORANGE}"}, False),
    ({"x-forwarded-for": FARTHER}, False),
    ({"x-forwarded-for": ""}, False),
    ({"x-real-ip": ORANGE}, False),
    # Forwarded, RFC 7239.
    ({"forwarded": f"for={ORANGE}"}, True),
    ({"forwarded": f"proto=https;For={ORANGE};by={PROXY}"}, True),
    ({"forwarded": f'for="{ORANGE}:4711"'}, True),
    ({"forwarded": f"for={ORANGE}:4711"}, True),
    ({"forwarded": 'for="[2001:db8::17]:4711"'}, True),
    ({"forwarded": f'for="{ORANGE}:_secret"'}, True),
    ({"forwarded": f"for=198.51.100.1, for={ORANGE} , for={FARTHER}"}, True),
    ({"forwarded": f'for={ORANGE};host="a, for=198.51.100.1"'}, True),
    ({"forwarded": f'for=198.51.100.1;host="a, for={ORANGE}"'}, False),
    ({"forwarded": f"for={ORANGE}, for=198.51.100.1"}, False),
    ({"forwarded": f"for={ORANGE}, for=unknown"}, False),
    ({"forwarded": f"for={ORANGE}, for=_hidden"}, False),
    ({"forwarded": f"for={ORANGE}, proto=https"}, False),
    ({"forwarded": f"for={ORANGE}, proto=https;"}, False),
    ({"forwarded": f"for={ORANGE};for={ORANGE}"}, False),
    ({"forwarded": f"for={ORANGE},"}, False),
    ({"forwarded": "proto=https"}, False),
    ({"forwarded": ORANGE}, False),
    ({"forwarded": ""}, False),
    # A quote that a stranger left open would turn the proxy's own words inside out.
    ({"forwarded": f'a=", for=198.51.100.1;host="x, for={ORANGE}'}, False),
    ({"forwarded": f'a=", for=198.51.100.1;host=", for={ORANGE};b=\\""'}, False),
    # Both: a stranger may have sent the one that the proxy does not write.
    ({"x-forwarded-for": ORANGE, "forwarded": f"for={ORANGE}"}, True),
    ({"x-forwarded-for": ORANGE, "forwarded": "for=198.51.100.1"}, False),
    ({"x-forwarded-for": "198.51.100.1", "forwarded": f"for={ORANGE}"}, False),
]


def lines(headers):
    return [(name.encode(), value.encode()) for name, value in headers.items()]


@pytest.mark.parametrize(("headers", "believed"), BELIEVED)
async def test_behind_proxies(heard, headers, believed):
    """
    What a trusted proxy wrote is believed; the same from anybody else is not looked at.
    """
    receiver = ReceiptReceiver(
        heard.append,
        allowed_sources=[ORANGE, "2001:db8::/32"],
        trusted_proxies=["10.0.0.0/24"],
    )
    through = Post(headers=lines(headers), client=(PROXY, 1))
    stranger = Post(headers=lines(headers), client=("198.51.100.1", 1))
    orange = Post(headers=[(b"x-forwarded-for", b"198.51.100.1")], client=(ORANGE, 1))

    assert (200 if believed else 404) == await through.to(receiver)
    assert 404 == await stranger.to(receiver)
    assert 200 == await orange.to(receiver)


async def test_one_header_on_two_lines(heard):
    """
    Is one list: the last of the second line counts.
    """
    receiver = ReceiptReceiver(heard.append, allowed_sources=[ORANGE], trusted_proxies=[PROXY])
    name = b"x-forwarded-for"

    async def status(*values):
        headers = [(name, value.encode()) for value in values]
        return await Post(headers=headers, client=(PROXY, 1)).to(receiver)

    assert 200 == await status("198.51.100.1", ORANGE)
    assert 404 == await status(ORANGE, "198.51.100.1")


@pytest.mark.parametrize("headers", [{}, {"x-forwarded-for": FARTHER}])
async def test_a_proxy_speaks_for_itself(heard, headers):
    """
    Where nobody stands behind our own machines, they are the source.
    """
    receiver = ReceiptReceiver(
        heard.append, allowed_sources=["10.0.0.0/24"], trusted_proxies=["10.0.0.0/24"]
    )

    assert 200 == await Post(headers=lines(headers), client=(PROXY, 1)).to(receiver)


# -- other protocols ----------------------------------------------------------------------------


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


# -- whatever is posted -------------------------------------------------------------------------

EXAMPLES = int(os.environ.get("RECEIVER_EXAMPLES", "2000"))

WORDS = """
    deliveryInfoNotification deliveryInfo callbackData address deliveryStatus dateTime message
    inboundSMSMessageNotification inboundSMSMessage senderAddress destinationAddress
"""
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(NUMBER)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS.split()), inner, max_size=4)
    ),
    max_leaves=8,
)
RECEIPTS = st.fixed_dictionaries(
    {"deliveryInfo": st.fixed_dictionaries({"address": JSON, "deliveryStatus": JSON})},
    optional={"callbackData": JSON},
).map(lambda receipt: {"deliveryInfoNotification": receipt})
REPLIES = st.dictionaries(st.sampled_from(WORDS.split()), JSON).map(
    lambda reply: {"inboundSMSMessageNotification": {"inboundSMSMessage": reply}}
)


@st.composite
def damaged(draw):
    """Draw a real payload with a piece of it cut out or replaced."""
    body = draw(st.sampled_from([RECEIPT, REPLY]))
    first, last = sorted(draw(st.tuples(*[st.integers(0, len(body))] * 2)))
    return body[:first] + draw(st.binary(max_size=8)) + body[last:]


BODIES = st.one_of(
    st.binary(),
    damaged(),
    st.sampled_from([RECEIPT, REPLY]),
    st.one_of(JSON, RECEIPTS, REPLIES).map(lambda body: json.dumps(body).encode()),
)
NAMES = st.sampled_from([b"content-length", b"x-forwarded-for", b"forwarded", b"Host"])
NODES = st.sampled_from(
    [*'=;,"[]:\\7', "for=", "::", "unknown", "proto=https", PROXY, ORANGE, "2001:db8::1"]
)
VALUES = st.one_of(
    st.binary(max_size=20),
    st.lists(NODES, max_size=8).map(lambda nodes: "".join(nodes).encode()),
    st.integers().map(lambda number: str(number).encode()),
    st.just(b"9" * 5_000),
)
PATHS = st.text() | st.just(f"/receipts/{SECRET}")
QUERIES = st.binary(max_size=20) | st.sampled_from([b"token=", f"token={SECRET}".encode()])
CLIENTS = st.none() | st.tuples(st.sampled_from([ORANGE, PROXY, "::1"]) | st.text(), st.just(1))


@st.composite
def posts(draw):
    body, cut = draw(BODIES), draw(st.integers(0, 50))
    return Post(
        pieces=[body[:cut], body[cut:]],
        method=draw(st.sampled_from(["POST"] * 9 + ["GET"])),
        path=draw(PATHS),
        query_string=draw(QUERIES),
        headers=draw(st.lists(st.tuples(NAMES | st.binary(max_size=5), VALUES), max_size=4)),
        client=draw(CLIENTS),
    )


class Records(logging.Handler):
    """All that is logged, as text."""

    def __init__(self):
        super().__init__()
        self.texts = []

    def emit(self, record):
        self.texts.append(f"{record.getMessage()} {record.exc_info}")


@pytest.fixture(scope="module")
def run():
    """Run coroutines on one loop: a loop for each of many examples would take longer than they."""
    loop = JumpingLoop()
    yield loop.run_until_complete
    loop.close()


@pytest.fixture(scope="module")
def records():
    records, root = Records(), logging.getLogger()
    level = root.level
    root.addHandler(records)
    root.setLevel(logging.DEBUG)
    yield records
    root.removeHandler(records)
    root.setLevel(level)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(post=posts(), guarded=st.booleans())
def test_whatever_is_posted(run, records, post, guarded):
    """
    An answer that is none of ours to be ashamed of, and nothing private in any log.
    """
    sources = {"allowed_sources": [ORANGE], "trusted_proxies": [PROXY]} if guarded else {}
    receiver = ReceiptReceiver(Failing(), Failing().later, secret=SECRET, **sources)
    records.texts.clear()

    status = run(post.to(receiver))

    assert status in (200, 400, 404, 405, 413)
    assert 1 == sum(attrs.asdict(receiver.statistics()).values()) - (status == 200)
    allowed = {f"on_{what} raised LookupError None" for what in ("receipt", "inbound")}
    assert (status == 200) == (len(records.texts) == 1)
    assert allowed >= {*records.texts}


# -- on a real server ---------------------------------------------------------------------------


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
            line = http.client.HTTPConnection(*served.socket.getsockname())
            line.request("POST", f"/{SECRET}", RECEIPT)
            status = line.getresponse().status
            line.close()
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
