"""The token endpoint, and what the gateway thinks of tokens."""

import base64

import httpx
import pytest

from orange_sms_async.sandbox import Sandbox

GRANT = {"grant_type": "client_credentials"}


@pytest.fixture
async def anyone(sandbox):
    """A client that has no token."""
    async with httpx.AsyncClient(
        transport=sandbox.transport, base_url="https://api.orange.com"
    ) as client:
        yield client


def basic(pair):
    return "Basic " + base64.b64encode(pair).decode()


@pytest.mark.parametrize(("version", "lifetime"), [("v2", "7776000"), ("v3", "3600")])
async def test_a_token_is_issued(sandbox, anyone, version, lifetime):
    """
    The answer has the documented fields in the documented order, the lifetime being a string.
    """
    authorization = {"Authorization": sandbox.authorization}
    answer = await anyone.post(f"/oauth/{version}/token", data=GRANT, headers=authorization)

    assert ["token_type", "access_token", "expires_in"] == list(answer.json())
    assert (200, "Bearer", lifetime) == (
        answer.status_code,
        answer.json()["token_type"],
        answer.json()["expires_in"],
    )


async def test_a_token_looks_like_oranges(sandbox, connect):
    """
    Three parts, and about 600 characters of header.
    """
    client = await connect(sandbox, transport=sandbox.transport)
    token = client.headers["Authorization"].removeprefix("Bearer ")

    assert 3 == len(token.split("."))
    assert 550 < len(token) < 650


@pytest.mark.parametrize(("spelling", "said"), [("number", 3600), ("absent", None)])
async def test_the_lifetime_has_other_spellings(spelling, said):
    """
    A recording shows a number; and nothing may come at all.
    """
    sandbox = Sandbox(expires_in=spelling)
    async with httpx.AsyncClient(transport=sandbox.transport, base_url="http://o") as client:
        authorization = {"Authorization": sandbox.authorization}
        answer = await client.post("/oauth/v3/token", data=GRANT, headers=authorization)

    assert said == answer.json().get("expires_in")


async def test_id_and_secret_may_be_form_fields(anyone):
    """
    The documented alternative to the header.
    """
    pair = {"client_id": "sandbox", "client_secret": "sandbox"}
    answer = await anyone.post("/oauth/v3/token", data=GRANT | pair)

    assert 200 == answer.status_code


@pytest.mark.parametrize(
    "authorization",
    [basic(b"sandbox:wrong"), basic(b"\xff:\xff"), "Basic %%%", "Bearer abc", "Basic", ""],
)
async def test_a_wrong_secret_is_refused(anyone, authorization):
    """
    In the token endpoint's own envelope, with a challenge.
    """
    headers = {"Authorization": authorization}
    answer = await anyone.post("/oauth/v3/token", data=GRANT, headers=headers)

    assert (401, "invalid_client") == (answer.status_code, answer.json()["error"])
    assert "Basic" == answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"scope": "x"}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({f"field{n}": "1" for n in range(200)}, "invalid_request"),
    ],
)
async def test_the_grant_type_is_needed(sandbox, anyone, form, error):
    """
    "Missing grant_type in body" was captured.
    """
    authorization = {"Authorization": sandbox.authorization}
    answer = await anyone.post("/oauth/v3/token", data=form, headers=authorization)

    assert (400, error) == (answer.status_code, answer.json()["error"])


async def test_a_token_is_asked_for_with_a_form(sandbox, anyone):
    """
    Any other body is refused in the token endpoint's own envelope.
    """
    headers = {"Authorization": sandbox.authorization}
    answer = await anyone.post("/oauth/v3/token", json=GRANT, headers=headers)

    assert (415, "invalid_request") == (answer.status_code, answer.json()["error"])


@pytest.mark.parametrize("authorization", ["Basic %%%", "Basic c2E", "Basic", "Bearer abc"])
async def test_what_is_not_basic_has_words_of_its_own(anyone, authorization):
    """
    Whoever encoded the pair badly need not look for a wrong secret.
    """
    headers = {"Authorization": authorization}
    answer = await anyone.post("/oauth/v3/token", data=GRANT, headers=headers)

    assert (401, "invalid_client") == (answer.status_code, answer.json()["error"])
    assert "decoded" in answer.json()["error_description"]


@pytest.mark.parametrize("accept", ["*/*", "text/html", "application/json", None, "text/html,*/*"])
async def test_the_accept_of_existing_clients_will_do(sandbox, anyone, accept):
    """
    Ten clients send JSON, anything, html, or nothing.
    """
    del anyone.headers["Accept"]
    headers = {"Authorization": sandbox.authorization} | ({"Accept": accept} if accept else {})
    answer = await anyone.post("/oauth/v3/token", data=GRANT, headers=headers)

    assert 200 == answer.status_code


async def test_fifty_tokens_a_minute(sandbox, anyone):
    """
    The 51st request of a minute is one too many.
    """
    authorization = {"Authorization": sandbox.authorization}
    statuses = [
        (await anyone.post("/oauth/v3/token", data=GRANT, headers=authorization)).status_code
        for _ in range(51)
    ]

    assert [*[200] * 50, 429] == statuses
    assert 51 == sandbox.statistics().token_requests


@pytest.mark.parametrize(
    ("authorization", "code"),
    [(None, 40), ("Bearer ", 40), ("Basic c2E6c2E=", 40), ("made-up", 40), ("Bearer made-up", 41)],
)
async def test_a_request_needs_a_token(anyone, authorization, code):
    """
    None, or no Bearer, is code 40; a wrong one is code 41.
    """
    headers = {"Authorization": authorization} if authorization else {}
    answer = await anyone.get("/sms/admin/v1/contracts", headers=headers)

    assert (401, code) == (answer.status_code, answer.json()["code"])


async def test_tokens_can_be_expired(sandbox, client):
    """
    Tokens issued before are out of date; the text is Orange's.
    """
    sandbox.expire_tokens()
    answer = await client.get("/sms/admin/v1/contracts")

    assert 401 == answer.status_code
    assert {
        "code": 42,
        "message": "Expired credentials",
        "description": "The requested service needs credentials, "
        "and the ones provided were out-of-date.",
    } == answer.json()


async def test_tokens_can_be_forgotten(sandbox, client):
    """
    A token Orange does not know any more is invalid rather than expired.
    """
    sandbox.forget_tokens()
    answer = await client.get("/sms/admin/v1/contracts")

    assert (401, 41) == (answer.status_code, answer.json()["code"])


async def test_a_token_ends_by_itself(connect):
    """
    After its lifetime it is expired.
    """
    sandbox = Sandbox(token_lifetime=0)
    client = await connect(sandbox, transport=sandbox.transport)
    answer = await client.get("/sms/admin/v1/contracts")

    assert 42 == answer.json()["code"]
