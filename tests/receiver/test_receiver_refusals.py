"""What is refused: other methods, no receipts, too much, too slow."""

import asyncio
import json

import pytest
from post import RECEIPT, Post

from orange_sms_async.receiver import ReceiptReceiver, ReceiverStatistics


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
