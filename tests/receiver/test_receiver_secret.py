"""The secret in the address: who does not know it finds nothing there."""

from urllib.parse import urlencode

import pytest
from post import ORANGE, SECRET, Post

from orange_sms_async.receiver import ReceiptReceiver, ReceiverStatistics


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
