"""What was refused is seen: with the rule that was broken, and without secrets."""

import asyncio
import gc
import weakref

import pytest

from orange_sms_async.sandbox import Sandbox
from orange_sms_async.sandbox.orange.wrong import Wrong

TOKEN = "/oauth/v3/token"
BROKEN = [
    ({"address": "+2250701020304"}, "ADDRESS"),
    ({"address": ["tel:+2250701020304", "tel:+2250701020305"]}, "ADDRESSES"),
    ({"senderAddress": "tel:+2210000"}, "OTHER_SENDER_ADDRESS"),
    ({"senderName": "Nobody"}, "SENDER_NAME"),
    ({"outboundSMSTextMessage": {}}, "TEXT"),
]


@pytest.mark.parametrize(("parts", "reason"), BROKEN)
async def test_a_refused_message_says_the_rule_it_broke(client, send, control, parts, reason):
    """
    In a word for programs and a sentence for people.
    """
    answer = await send(client, **parts)
    (shown,) = (await control("GET", "requests")).json()["requests"]

    assert (reason, Wrong[reason].value) == (shown["reason"], shown["wrong"])
    assert ("message", "POST", answer.status_code) == (
        shown["on"],
        shown["method"],
        shown["status"],
    )
    assert shown["request_id"] == answer.headers["X-OAPI-Request-Id"]


async def test_all_kinds_are_seen_newest_first(sandbox, client, control):
    """
    Tokens, the account, and what is no operation of Orange's; what went well is not.
    """
    await client.post(TOKEN, data={"grant_type": "password"})
    await client.get("/sms/admin/v1/contracts")
    await client.get("/sms/admin/v1/contracts", headers={"Authorization": "Bearer made-up"})
    await client.get("/sms/admin/v2/contracts")
    shown = (await control("GET", "requests")).json()["requests"]

    assert ["NO_SUCH_PATH", "NOT_ISSUED", "OTHER_GRANT_TYPE"] == [one["reason"] for one in shown]
    assert [None, "account", "token"] == [one["on"] for one in shown]
    assert [False, True, False, True, True] == [one.refused for one in sandbox.requests]


async def test_a_fault_is_told_from_a_mistake(sandbox, client, send, control):
    """
    Also where no answer came.
    """
    sandbox.fail_next("503/5")
    await send(client)
    sandbox.drop_next()
    with pytest.raises(Exception, match="dropped"):
        await send(client)
    shown = (await control("GET", "requests")).json()["requests"]

    assert [(None, "drop taken"), (503, "503/5")] == [
        (one["status"], one["fault"]) for one in shown
    ]
    assert {"FAULT"} == {one["reason"] for one in shown}


async def test_a_request_in_full(sandbox, client, send, control):
    """
    As it travelled, and its answer.
    """
    answer = await send(client, "the text", senderName="Nobody")
    request_id = answer.headers["X-OAPI-Request-Id"]
    full = (await control("GET", f"requests/{request_id}")).json()

    assert '"message":"the text"' in full["request"]["body"]
    assert "Bearer …" == dict(full["request"]["headers"])["authorization"]
    assert (400, answer.text) == (full["answer"]["status"], full["answer"]["body"])
    assert full["answer"]["body"] == sandbox.requests[-1].exchange.answer_body
    assert 404 == (await control("GET", "requests/made-up")).status_code


SECRETS = [
    {"data": {"client_id": "a", "client_secret": "hidden", "grant_type": "client_credentials"}},
    {"json": {"client_secret": "hidden"}},
    {"content": "{'client_secret': 'hidden', "},
    {"headers": {"Authorization": "hidden"}},
    {"headers": {"Authorization": "Basic hidden"}},
    {"headers": {"Proxy-Authorization": "Digest hidden", "Cookie": "hidden"}},
    {"params": {"client_secret": "hidden"}},
]


@pytest.mark.parametrize("request_parts", SECRETS)
async def test_no_secret_is_shown(sandbox, client, control, request_parts):
    """
    Wherever a client has written it.
    """
    headers = {"Authorization": ""} | request_parts.get("headers", {})
    await client.post(TOKEN, **request_parts | {"headers": headers})
    request_id = sandbox.requests[-1].request_id
    full = (await control("GET", f"requests/{request_id}")).text

    assert '"status":4' in full
    assert "hidden" not in full
    assert "hidden" not in repr(sandbox.requests)


async def test_refused_requests_are_searched_and_paged(client, control):
    """
    By what was wrong, by status, by path.
    """
    for number in range(5):
        await client.get(f"/nothing/{number}")
    await client.get("/sms/admin/v1/contracts", headers={"Authorization": ""})
    found = (await control("GET", "requests?q=bearer")).json()["requests"]
    page = (await control("GET", "requests?q=nothing&limit=2")).json()
    before = page["requests"][-1]["number"]
    older = (await control("GET", f"requests?q=nothing&before={before}")).json()

    assert ["NO_CREDENTIALS"] == [one["reason"] for one in found]
    assert (["/nothing/4", "/nothing/3"], True) == (
        [one["path"] for one in page["requests"]],
        page["more"],
    )
    assert ["/nothing/2", "/nothing/1", "/nothing/0"] == [one["path"] for one in older["requests"]]


async def test_a_refused_request_is_told_as_it_happens(sandbox, client):
    """
    Whoever watches hears of it at once.
    """
    watching = sandbox.events.watch()
    await anext(watching)
    await client.get("/nothing")
    told = await asyncio.wait_for(anext(watching), 5)

    assert ["request"] == [event.name for event in told]
    assert "/nothing" == told[0].value()["path"]


async def test_what_was_told_keeps_nothing_that_is_forgotten(connect, send):
    """
    The last 4,000 events are remembered, and would hold as many large requests.
    """
    sandbox = Sandbox(rate=None, keep=1)
    client = await connect(sandbox, transport=sandbox.transport)
    await send(client)
    await client.get("/nothing")
    first, message = weakref.ref(sandbox.requests[-1]), weakref.ref(await sandbox.wait())
    await send(client)
    await client.get("/nothing")
    gc.collect()

    assert (None, None) == (first(), message())


async def test_large_requests_are_bounded_by_their_size(connect, send):
    """
    Ten thousand of 50 kB would be half a gigabyte.
    """
    sandbox = Sandbox(rate=None)
    client = await connect(sandbox, transport=sandbox.transport)
    client.headers["X-Large"] = "x" * 50_000
    for _ in range(1_000):
        await send(client)

    assert 450 < len(sandbox.requests) < 700
    assert 450 < len(list(sandbox.inbox.newest_first())) < 700
    assert 1_000 == sandbox.statistics().accepted
