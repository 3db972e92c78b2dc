"""One token, fetched once and shared."""

import asyncio
import base64
import gc
import ssl

import httpx
import pytest
from line import sms
from orange import CREDENTIALS, EXPIRED, INVALID, MESSAGE, SENT, TOKEN, Orange, answer
from samples import sample

from orange_sms_async import (
    AuthenticationFailed,
    ClientCredentials,
    ConnectionFailed,
    NotSent,
    SendQueue,
    ServiceUnavailable,
    Throttled,
    TokenExpired,
)


@pytest.fixture
def orange():
    return Orange()


@pytest.fixture
async def client(orange):
    async with orange.client() as client:
        yield client


def tokens(*names):
    """Answers of the token endpoint: one token after the other."""
    return [answer(200, **TOKEN | {"access_token": name}) for name in names]


def refusing(*names, code):
    """Orange, which refuses the tokens of these names."""

    async def sends(request):
        await asyncio.sleep(0.2)
        if request.headers["Authorization"].removeprefix("Bearer ") in names:
            return answer(401, code=code)
        return answer(201, **SENT)

    return sends


# -- credentials ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        "Basic dGhlLWNsaWVudC1pZDp0aGUtY2xpZW50LXNlY3JldA==",
        " basic dGhlLWNsaWVudC1pZDp0aGUtY2xpZW50LXNlY3JldA==\n",
    ],
)
def test_the_header_that_orange_s_portal_shows(header):
    """
    It holds id and secret, and comes back as it was.
    """
    credentials = ClientCredentials.from_header(header)

    assert credentials == CREDENTIALS
    assert "Basic dGhlLWNsaWVudC1pZDp0aGUtY2xpZW50LXNlY3JldA==" == credentials.header


def test_a_secret_with_a_colon():
    """
    The first colon ends the id.
    """
    credentials = ClientCredentials("an-id", "a:secret")

    assert credentials == ClientCredentials.from_header(credentials.header)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "dGhlLWNsaWVudC1pZDp0aGUtY2xpZW50LXNlY3JldA==",
        "Bearer dGhlLWNsaWVudC1pZDp0aGUtY2xpZW50LXNlY3JldA==",
        "Basic not-base64!",
        "Basic clé",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(),
    ],
)
def test_no_such_header(header):
    """
    The rule is told and the header is not, by the error or by what it came from.
    """
    with pytest.raises(ValueError, match='the header must be "Basic " and the base64') as caught:
        ClientCredentials.from_header(header)

    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize(("id_", "secret"), [("", "secret"), ("id", "")])
def test_half_of_the_credentials(id_, secret):
    """
    Neither may be empty.
    """
    with pytest.raises(ValueError, match="neither the id nor the secret"):
        ClientCredentials(id_, secret)


# -- one token ------------------------------------------------------------------------------------


async def test_a_thousand_sends_ask_for_one_token(orange, client):
    """
    However many ask at once, one fetches.
    """
    await asyncio.gather(*(client.send(MESSAGE) for _ in range(1000)))

    assert (1, 1000) == (orange.token.call_count, orange.send.call_count)


async def test_a_token_that_dies_under_a_thousand_sends_is_replaced_once(orange, client):
    """
    Each message is repeated once, on one new token.
    """
    orange.token.side_effect = tokens("first", "second")
    orange.send.side_effect = refusing("first", code=42)

    await asyncio.gather(*(client.send(MESSAGE) for _ in range(1000)))

    assert (2, 2000) == (orange.token.call_count, orange.send.call_count)


async def test_a_late_refusal_does_not_cost_the_new_token(orange, client):
    """
    A message refused on the old token, after that was replaced, leaves the new one alone.
    """
    delays = iter([0.0, 5.0])

    async def sends(request):
        if "first" not in request.headers["Authorization"]:
            return answer(201, **SENT)
        await asyncio.sleep(next(delays))
        return answer(401, **EXPIRED)

    orange.token.side_effect = tokens("first", "second")
    orange.send.side_effect = sends

    await asyncio.gather(client.send(MESSAGE), client.send(MESSAGE))

    assert (2, 4) == (orange.token.call_count, orange.send.call_count)


@pytest.mark.parametrize(
    ("given", "used_for"),
    [
        ({"expires_in": "3600"}, 3540),
        ({"expires_in": 3600}, 3540),
        ({"expires_in": 3600.5}, 3540.5),
        ({"expires_in": "100"}, 50),
        ({}, None),
        ({"expires_in": None}, None),
        ({"expires_in": ""}, None),
        ({"expires_in": 0}, None),
        ({"expires_in": "0"}, None),
        ({"expires_in": "-1"}, None),
        ({"expires_in": "nan"}, None),
    ],
)
async def test_a_token_is_replaced_a_minute_before_its_end(orange, client, given, used_for):
    """
    A short one at half its life, one without an end when it is refused.
    """
    orange.token.respond(json={"access_token": "token"} | given)
    await client.ready()

    await asyncio.sleep((used_for or 1_000_000) - 0.5)
    await client.ready()
    assert 1 == orange.token.call_count

    await asyncio.sleep(1)
    await client.ready()
    assert (2 if used_for else 1) == orange.token.call_count


@pytest.mark.parametrize("failure", [503, 401, "hangs"])
async def test_a_token_whose_renewal_fails_is_used_to_its_end(orange, client, failure):
    """
    A queue sends on without a pause that is told, and asks again a few times, not with each
    message.
    """

    asked = []

    async def fails(_):
        asked.append(failure)
        if failure == "hangs":
            await asyncio.Event().wait()
        return answer(failure, error="invalid_client")

    await client.ready()
    orange.token.side_effect = fails
    await asyncio.sleep(3541)
    async with SendQueue(client) as queue:
        for _ in range(35):
            await queue.send(MESSAGE)
            await asyncio.sleep(1)

        assert queue.statistics().waiting_for is None
    assert 35 == orange.send.call_count
    assert 2 <= len(asked) <= 4


async def test_a_renewal_that_failed_is_made_up_for(orange, client):
    """
    A quarter of a minute later, and then the new token is used.
    """
    orange.token.side_effect = [*tokens("first"), answer(503), *tokens("second")]
    for pause in (3541, 1, 15):
        await client.ready()
        await asyncio.sleep(pause)
    await client.send(MESSAGE)

    assert 3 == orange.token.call_count
    assert "Bearer second" == orange.send.calls.last.request.headers["Authorization"]


async def test_a_token_that_ends_while_its_renewal_fails(orange, client):
    """
    Then the failure is told.
    """
    orange.token.side_effect = [*tokens("first"), answer(503), answer(503)]
    await client.ready()
    await asyncio.sleep(3541)
    await client.ready()
    await asyncio.sleep(60)

    with pytest.raises(ServiceUnavailable):
        await client.ready()


@pytest.mark.parametrize("life", [0.001, 1])
async def test_no_more_than_fifty_tokens_a_minute(orange, client, life):
    """
    Where tokens end at once, or after a second, a queue goes on at the rate of tokens, and says
    what it waits for.
    """
    loop = asyncio.get_running_loop()
    asked, waited = [], set()

    def gives(_):
        asked.append(loop.time())
        return answer(200, **TOKEN | {"expires_in": life})

    orange.token.side_effect = gives
    async with SendQueue(client) as queue:
        for number in range(150):
            await asyncio.sleep(1)
            await queue.submit(sms(str(number)))
            waited.add(queue.statistics().waiting_for)

    assert 50 >= max(sum(first <= time < first + 60 for time in asked) for first in asked)
    assert {None, "Orange"} == waited
    assert 150 == orange.send.call_count


async def test_fifty_tokens_are_an_account_s_and_not_a_client_s(orange):
    """
    Orange counts those of all its clients together, also of one that is gone.
    """
    orange.token.respond(json=TOKEN | {"expires_in": 0.1})

    async def ask(times):
        async with orange.client() as one, orange.client() as other:
            for client in (one, other) * times:
                await client.ready()
                await asyncio.sleep(0.2)

    await ask(20)
    gc.collect()
    await ask(5)
    with pytest.raises(Throttled, match="50 tokens within a minute: the next in 51 s"):
        await ask(1)

    assert 50 == orange.token.call_count


@pytest.mark.parametrize("whose", ["ours", "Orange's"])
async def test_a_want_of_tokens_is_no_throttled_message(orange, client, whose):
    """
    It neither counts as one nor spreads messages out, though it shows when one is attempted.
    """
    if whose == "ours":
        orange.token.respond(json=TOKEN | {"expires_in": 0.001})
        await client.ready()  # or the 51st would always be asked for before the slot
    else:
        # It ends while the second message waits for its slot.
        ends = answer(200, **TOKEN | {"expires_in": 0.2})
        orange.token.side_effect = [ends, answer(429), *tokens("lives")]
    async with SendQueue(client) as queue, queue.bulk(map(sms, "a" * 60)) as reports:
        assert all([report.error is None async for report in reports])
        seen = queue.statistics()

    assert 0 == seen.throttled
    assert client.pacer.guard <= 0.01


async def test_the_fifty_first_token(orange, client):
    """
    It is refused here, at once and with the time to wait, and had after that.
    """
    orange.token.respond(json=TOKEN | {"expires_in": 0.1})
    for _ in range(50):
        await client.ready()
        await asyncio.sleep(0.2)
    with pytest.raises(Throttled, match="50 tokens within a minute: the next in 51 s"):
        await client.ready()
    await asyncio.sleep(51)
    await client.ready()

    assert 51 == orange.token.call_count


async def test_an_attempt_uses_a_token_to_its_end(orange, client):
    """
    It has its slot already, and does not wait for another token as long as this one lives.
    """
    await client.ready()

    await asyncio.sleep(3599)
    await client.attempt(MESSAGE)
    assert 1 == orange.token.call_count

    await asyncio.sleep(2)
    await client.attempt(MESSAGE)
    assert 2 == orange.token.call_count


@pytest.mark.parametrize("name", ["token/200.json", "token/200_number.json"])
async def test_token_samples(orange, client, name):
    """
    A line feed before the body is no harm.
    """
    orange.token.respond(content=sample(name))

    await client.send(MESSAGE)

    sent = orange.send.calls.last.request
    assert "Bearer a-token-as-good-as-any" == sent.headers["Authorization"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b"{}",
        b'{"access_token": null}',
        b'{"access_token": ""}',
        b'{"access_token": 7}',
        b'{"access_token": "two\\r\\nlines", "expires_in": "3600"}',
        b'{"access_token": "a b"}',
        '{"access_token": "clé"}'.encode(),
        b'{"access_token": "token", "expires_in": "soon"}',
        b'{"access_token": "token", "expires_in": ["3600"]}',
        b"[" * 100_000,
    ],
)
async def test_an_answer_that_holds_no_token(orange, client, body):
    """
    Nothing was sent: it is a failed connection, and no text of it is shown.
    """
    orange.token.respond(200, content=body, headers={"X-OAPI-Request-Id": "request-7"})

    with pytest.raises(ConnectionFailed, match="the token endpoint gave no readable") as caught:
        await client.send(MESSAGE)

    assert (200, "request-7") == (caught.value.status_code, caught.value.request_id)
    assert 0 == orange.send.call_count


# -- when none can be had -------------------------------------------------------------------------


async def test_who_waits_while_a_fetch_fails_shares_the_failure(orange, client):
    """
    A token endpoint that is down is asked once, and asked again by who comes later.
    """

    async def fails(_):
        await asyncio.sleep(0.4)
        return answer(503)

    orange.token.side_effect = fails

    failures = await asyncio.gather(*(client.ready() for _ in range(1000)), return_exceptions=True)
    assert {ServiceUnavailable} == {type(failure) for failure in failures}
    assert 1 == orange.token.call_count

    with pytest.raises(ServiceUnavailable):
        await client.ready()
    assert 2 == orange.token.call_count

    orange.token.side_effect = None
    await client.send(MESSAGE)
    assert 3 == orange.token.call_count


async def test_a_cancelled_fetch_is_taken_over(orange, client):
    """
    Who waited behind it fetches instead.
    """

    asked = []

    async def slow(_):
        asked.append("a token")
        await asyncio.sleep(1)
        return answer(200, **TOKEN)

    orange.token.side_effect = slow
    first, second = (asyncio.create_task(client.ready()) for _ in range(2))
    await asyncio.sleep(0.5)
    first.cancel()
    await second

    assert first.cancelled()
    assert 2 == len(asked)


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError,
        httpx.ConnectTimeout,
        httpx.ReadTimeout,
        httpx.ReadError,
        ssl.SSLError,
    ],
)
async def test_a_token_endpoint_out_of_reach(orange, client, failure):
    """
    No message was sent, whatever broke.
    """
    orange.token.side_effect = failure

    with pytest.raises(ConnectionFailed):
        await client.send(MESSAGE)

    assert (1, 0) == (orange.token.call_count, orange.send.call_count)


async def test_a_token_endpoint_that_never_answers(orange):
    """
    Slow is as good as down, and safe as well.
    """

    async def hangs(_):
        await asyncio.Event().wait()

    orange.token.side_effect = hangs

    async with orange.client(timeout=2) as client:
        with pytest.raises(ConnectionFailed, match="no answer in time"):
            await client.send(MESSAGE)

    assert 0 == orange.send.call_count


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 407, 409, 410, 421, 425, 451, 499])
async def test_one_odd_answer_of_the_token_endpoint_does_not_stop_a_queue(orange, client, status):
    """
    A page of a proxy says nothing of the credentials: it is tried again, and the message goes.
    """
    page = httpx.Response(status, content="<html>", headers={"Content-Type": "text/html"})
    orange.token.side_effect = [page, *tokens("token")]

    async with SendQueue(client) as queue:
        assert "81e4296d-aa" == await queue.send(MESSAGE)

    assert (2, 1) == (orange.token.call_count, orange.send.call_count)


async def test_the_log_names_the_token_endpoint_and_its_status(orange, client, caplog):
    """
    Or who reads it would ask Orange about messages, and not look at the proxy.
    """
    orange.token.side_effect = [httpx.Response(403, content="<html>"), *tokens("token")]
    async with SendQueue(client) as queue:
        await queue.send(MESSAGE)

    [record] = caplog.messages
    assert "nothing leaves: Orange is over capacity or gives no token" in record
    assert "(ServiceUnavailable: Orange's token endpoint answered 403); trying again" in record


# -- when it is refused ---------------------------------------------------------------------------


async def test_a_proven_token_that_turns_invalid_is_replaced(orange, client):
    """
    401 with code 41 on a token that worked before: one repeat, on another.
    """
    orange.token.side_effect = tokens("first", "second")
    await client.send(MESSAGE)
    orange.send.side_effect = refusing("first", code=41)

    await client.send(MESSAGE)

    assert (2, 3) == (orange.token.call_count, orange.send.call_count)


async def test_a_proven_token_that_turns_invalid_is_expired_to_an_attempt(orange, client):
    """
    `attempt` never repeats; the next one takes a new token.
    """
    orange.send.side_effect = [answer(201, **SENT), answer(401, **INVALID), answer(201, **SENT)]
    await client.attempt(MESSAGE)

    with pytest.raises(TokenExpired):
        await client.attempt(MESSAGE)
    await client.attempt(MESSAGE)

    assert (2, 3) == (orange.token.call_count, orange.send.call_count)


async def test_a_refused_contract_proves_the_token(orange, client):
    """
    Any answer but 401 shows that Orange had nothing against the token.
    """
    orange.send.side_effect = [answer(403, code=53), answer(401, **INVALID), answer(201, **SENT)]
    with pytest.raises(NotSent):
        await client.send(MESSAGE)

    await client.send(MESSAGE)

    assert (2, 3) == (orange.token.call_count, orange.send.call_count)


async def test_a_server_error_proves_nothing(orange, client):
    """
    The gateway may not have looked at the token.
    """
    orange.send.side_effect = [answer(503, code=5), answer(401, **INVALID)]
    with pytest.raises(ServiceUnavailable):
        await client.send(MESSAGE)

    with pytest.raises(AuthenticationFailed):
        await client.send(MESSAGE)


async def test_a_fresh_token_that_is_invalid_is_not_repeated(orange, client):
    """
    Another of the same account would be refused too.
    """
    orange.send.respond(401, json=INVALID)

    with pytest.raises(AuthenticationFailed) as caught:
        await client.send(MESSAGE)

    assert (401, 41) == (caught.value.status_code, caught.value.code)
    assert (1, 1) == (orange.token.call_count, orange.send.call_count)


async def test_expired_twice(orange, client):
    """
    A second refusal is raised: two posts, never a third.
    """
    orange.send.respond(401, json=EXPIRED)

    with pytest.raises(TokenExpired):
        await client.send(MESSAGE)

    assert (2, 2) == (orange.token.call_count, orange.send.call_count)


async def test_questions_are_asked_again_on_a_new_token(orange, client):
    """
    A token that expired between two questions costs one repeat.
    """
    orange.account.side_effect = [answer(401, **EXPIRED), httpx.Response(200, json=[])]

    assert [] == await client.contracts()
    assert (2, 2) == (orange.token.call_count, orange.account.call_count)
