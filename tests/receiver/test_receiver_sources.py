"""The sources that are let in, also behind proxies."""

from ipaddress import ip_address, ip_network

import pytest
from post import FARTHER, ORANGE, PROXY, Post

from orange_sms_async.receiver import ReceiptReceiver


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
