"""Whatever comes, the answer is one of Orange's: never a 500."""

import asyncio
import json

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orange_sms_async.sandbox import Sandbox

PATHS = (
    "/oauth/v3/token",
    "/smsmessaging/v1/outbound/tel%3A%2B2250000/requests",
    "/smsmessaging/v1/outbound/tel%3A%2B2250000/subscriptions",
)
GOOD = {
    "address": "tel:+2250701020304",
    "senderAddress": "tel:+2250000",
    "senderName": "MonService",
    "outboundSMSTextMessage": {"message": "Bonjour"},
}
TYPES = ("application/json", "application/x-www-form-urlencoded")

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def status_of(path, body, media_type):
    """Post to a sandbox of its own and say how that ended."""

    async def post():
        sandbox = Sandbox(rate=None)
        async with httpx.AsyncClient(transport=sandbox.transport, base_url="http://o") as client:
            grant = {"grant_type": "client_credentials"}
            basic = {"Authorization": sandbox.authorization}
            token = (await client.post(PATHS[0], data=grant, headers=basic)).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}", "Content-Type": media_type}
            return (await client.post(path, content=body, headers=headers)).status_code

    return asyncio.run(post())


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(PATHS), st.binary(max_size=300), st.sampled_from(TYPES))
def test_any_bytes(path, body, media_type):
    """
    Bytes that mean nothing are the client's mistake.
    """
    assert 400 <= status_of(path, body, media_type) < 500


@settings(max_examples=120, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(GOOD)), anything, min_size=1))
def test_anything_in_every_field(wrong):
    """
    A field of another type is refused, or harmless.
    """
    body = json.dumps({"outboundSMSMessageRequest": GOOD | wrong})

    assert status_of(PATHS[1], body, "application/json") in {201, 400, 403}


@pytest.mark.parametrize("path", ["/%ff", "/%00", "//", "/oauth/v3/token/", "/smsmessaging/v1/é"])
def test_paths_of_nothing(path):
    """
    What is no path of Orange's is not found.
    """
    assert 404 == status_of(path, b"", "")


@pytest.mark.parametrize("segment", ["%ff%00", "tel%3A%2B225%2F0000", "tel:%202250000", "+2250000"])
def test_senders_of_nothing(segment):
    """
    A segment that is not the sender address of the body is refused by the backend.
    """
    path = f"/smsmessaging/v1/outbound/{segment}/requests"
    body = json.dumps({"outboundSMSMessageRequest": GOOD})

    assert 400 == status_of(path, body, "application/json")
