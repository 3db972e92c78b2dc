"""Whatever is posted gets an answer and leaves no trace in a log."""

import json
import logging
import os

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from post import NUMBER, ORANGE, PROXY, RECEIPT, REPLY, SECRET, Failing, Post

from orange_sms_async.clock import JumpingLoop
from orange_sms_async.receiver import ReceiptReceiver

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
    receiver = ReceiptReceiver(
        Failing(),
        Failing().later,
        secret=SECRET,
        allowed_sources=[ORANGE] if guarded else (),
        trusted_proxies=[PROXY] if guarded else (),
    )
    records.texts.clear()

    status = run(post.to(receiver))

    assert status in (200, 400, 404, 405, 413)
    assert 1 == sum(attrs.asdict(receiver.statistics()).values()) - (status == 200)
    allowed = {f"on_{what} raised LookupError None" for what in ("receipt", "inbound")}
    assert (status == 200) == (len(records.texts) == 1)
    assert allowed >= {*records.texts}
