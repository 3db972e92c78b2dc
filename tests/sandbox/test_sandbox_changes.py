"""What the API under /_sandbox/ changes: the same as Python does."""

import asyncio
import json

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orange_sms_async.sandbox import Sandbox
from orange_sms_async.sandbox.orange.faults import KNOWN

CHANGES = [
    ("POST", "account/buy"),
    ("POST", "account/expire"),
    ("POST", "account/contract"),
    ("POST", "account/sender-names"),
    ("DELETE", "account/sender-names"),
    ("POST", "token/expire"),
    ("POST", "faults"),
    ("DELETE", "faults"),
    ("DELETE", "messages"),
    ("POST", "deliver"),
]


FIRST_DAY = "0001-01-01T00:00:00+23:00"  # in UTC there is no such moment


async def test_a_bundle_is_bought(sandbox, control):
    """
    Its units come on top, and Orange's own answer has them.
    """
    await control("POST", "account/buy", {"country": "CIV", "units": 100, "days": 7})

    assert 10_000_100 == sandbox.account.contract("CIV").available_units


async def test_a_contract_expires(sandbox, client, send, control):
    """
    The next message is refused.
    """
    await control("POST", "account/expire", {"country": "CIV"})
    answer = await send(client)

    assert ["Expired contract"] == answer.json()["requestError"]["policyException"]["variables"]


async def test_a_contract_is_edited(sandbox, client, send, control):
    """
    Units and expiry as they are said, each alone, too.
    """
    until = "2020-01-01T00:00:00+01:00"
    await control("POST", "account/contract", {"country": "CIV", "expiration_date": until})
    await control("POST", "account/contract", {"country": "CIV", "available_units": 0})
    contract = sandbox.account.contract("CIV")

    assert ("EXPIRED", 0) == (contract.status, contract.available_units)
    assert "2019-12-31T23:00:00+00:00" == contract.expiration_date.isoformat()


async def test_a_sender_name_is_approved_and_withdrawn(client, send, control):
    """
    Messages may name it in between.
    """
    answers = [await send(client, senderName="Boutique")]
    await control("POST", "account/sender-names", {"sender_name": "Boutique"})
    answers.append(await send(client, senderName="Boutique"))
    await control("DELETE", "account/sender-names", {"sender_name": "Boutique"})
    answers.append(await send(client, senderName="Boutique"))

    assert [400, 201, 400] == [answer.status_code for answer in answers]


async def test_tokens_expire_now(client, send, control):
    """
    All that were issued.
    """
    await control("POST", "token/expire", {})
    answer = await send(client)

    assert (401, 42) == (answer.status_code, answer.json()["code"])


@pytest.mark.parametrize("fault", [fault for fault in KNOWN.values() if fault.label])
async def test_every_documented_error_can_be_next(client, send, control, fault):
    """
    By its name, once; and then all is well.
    """
    client.timeout = httpx.Timeout(0.05)
    answer = await control("POST", "faults", {"next": {"fault": fault.name}})
    coming = (await control("GET", "faults")).json()["next"]
    try:
        status = (await send(client)).status_code
    except (httpx.ReadError, httpx.ReadTimeout):
        status = None

    assert 200 == answer.status_code
    assert [(fault.name, 1, "message")] == [
        (one["fault"], one["left"], one["on"]) for one in coming
    ]
    assert getattr(fault.outcome, "status", None) == status
    assert 201 == (await send(client)).status_code


async def test_a_fault_can_happen_sometimes(sandbox, client, send, control):
    """
    For a share of all, until taken back; what was said to be next comes first.
    """
    await control("POST", "faults", {"chance": {"share": 0.5, "fault": "503/5"}})
    shown = (await control("GET", "faults")).json()["chance"]
    sandbox.fail_next("429/53")
    statuses = [(await send(client)).status_code for _ in range(101)]
    await control("POST", "faults", {"chance": None})

    assert {"share": 0.5, "on": "message", "fault": "503/5"} == shown
    assert 429 == statuses[0]
    assert 30 < statuses.count(503) < 70
    assert {201} == {(await send(client)).status_code for _ in range(10)}


async def test_latency_and_jitter(sandbox, client, send, control):
    """
    They are the sandbox's own, both ways.
    """
    await control("POST", "faults", {"latency": 1.5, "jitter": 0.5})
    shown = (await control("GET", "faults")).json()
    start = asyncio.get_running_loop().time()
    await send(client)

    assert (1.5, 0.5) == (sandbox.latency, sandbox.jitter) == (shown["latency"], shown["jitter"])
    assert 3 <= asyncio.get_running_loop().time() - start <= 4.1


async def test_receipts_go_wrong_as_said(sandbox, control):
    """
    Each setting alone, and none but those that are said.
    """
    await control("POST", "faults", {"receipts": {"lost": 0.5, "status": "Eaten"}})
    await control("POST", "faults", {"receipts": {"late": 1, "late_by": 5, "delay": 2}})
    shown = (await control("GET", "faults")).json()["receipts"]

    assert (0.5, "Eaten", 1) == (
        sandbox.receipt_faults.lost,
        sandbox.receipt_faults.status,
        sandbox.receipt_faults.late,
    )
    assert (0.5, 5, 2, 0) == tuple(shown[key] for key in ("lost", "late_by", "delay", "doubled"))


async def test_all_goes_back_to_normal(sandbox, client, send, control):
    """
    Nothing of what was set is left.
    """
    body = {"next": {"fault": "500/1"}, "chance": {"fault": "drop", "share": 1}, "latency": 9}
    await control("POST", "faults", body | {"receipts": {"lost": 1}})
    await control("DELETE", "faults")

    assert 201 == (await send(client)).status_code
    assert (0, 0) == (sandbox.latency, sandbox.receipt_faults.lost)


async def test_the_inbox_is_emptied(sandbox, client, send, control):
    """
    What was counted stays counted, and numbers go on.
    """
    await send(client)
    await control("DELETE", "messages")
    await send(client)

    assert [2] == [one["number"] for one in (await control("GET", "messages")).json()["messages"]]
    assert (2, 1) == (sandbox.statistics().accepted, len(sandbox.sent))


@pytest.mark.parametrize(
    ("call", "body", "said"),
    [
        (("POST", "account/buy"), {"country": "civ", "units": 1}, "country: BFA, BWA"),
        (("POST", "account/buy"), {"country": "CIV"}, "units: a whole number from 1"),
        (("POST", "account/buy"), {"country": "CIV", "units": True}, "units"),
        (("POST", "account/buy"), {"country": "CIV", "units": 1, "unit": 1}, "unit'"),
        (("POST", "account/expire"), {"country": "TUN", "offer_name": "SMS_OCB2"}, "no such"),
        (("POST", "account/contract"), {"country": "CIV", "expiration_date": "2026-01-01"}, "zone"),
        (("POST", "account/contract"), {"country": "CIV", "expiration_date": FIRST_DAY}, "zone"),
        (("POST", "account/contract"), {"country": "CIV", "available_units": None}, "whole"),
        (("POST", "account/sender-names"), {"sender_name": "Trop long, ça"}, "1 to 11"),
        (("DELETE", "account/sender-names"), {"sender_name": "X"}, "not approved"),
        (("POST", "faults"), {"next": {"fault": "sunshine"}}, "next.fault: one of those known"),
        (("POST", "faults"), {"next": {"fault": "drop", "times": 0}}, "next.times"),
        (("POST", "faults"), {"chance": {"fault": "drop", "share": 2}}, "chance.share"),
        (("POST", "faults"), {"receipts": {"status": "\ud800"}}, "receipts.status: text"),
        (("POST", "faults"), {"latency": float("nan")}, "latency: a number"),
        (("POST", "faults"), {"latency": 1, "receipts": []}, "receipts: a JSON object"),
        (("POST", "deliver"), {"resource_id": "81e4296d"}, "no receipt URL"),
        (("POST", "faults"), [], "a JSON object"),
    ],
)
async def test_a_body_is_refused_by_name(sandbox, control, call, body, said):
    """
    The field and the rule; and nothing was changed.
    """
    answer = await control(*call, None, content=json.dumps(body))

    assert answer.status_code in {400, 404, 409}
    assert said in answer.json()["error"]
    assert (0, 0) == (sandbox.latency, len(sandbox.faults.coming))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
NAMES = """
    country units days offer_name available_units expiration_date sender_name next chance fault
    times on share latency jitter receipts resource_id status lost late_by delay
"""
names = st.sampled_from(NAMES.split())
nested = st.dictionaries(names, anything | st.dictionaries(names, anything, max_size=4), max_size=4)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(CHANGES), nested.map(json.dumps) | anything.map(json.dumps) | st.binary())
def test_rubbish_is_refused(change, body):
    """
    Whatever comes, the answer is no 500.
    """

    async def call():
        sandbox = Sandbox()
        method, path = change
        async with httpx.AsyncClient(transport=sandbox.transport, base_url="http://o") as http:
            token = (await http.get("/_sandbox/token")).json()["token"]
            answer = await http.request(
                method, f"/_sandbox/{path}", content=body, headers={"X-Sandbox-Token": token}
            )
            shown = await http.get("/_sandbox/faults")
            return answer.status_code, shown.status_code

    status, shown = asyncio.run(call())

    assert status in {200, 400, 404, 409}
    assert 200 == shown


@pytest.mark.parametrize(
    "body", ["[" * 60_000, "{" + '"a":' * 10_000, "1" * 10_000, " " * 70_000, "nul", "é", "NaN"]
)
async def test_bodies_of_nothing(control, body):
    """
    Too deep, too large, no JSON.
    """
    answer = await control("POST", "faults", None, content=body.encode())

    assert 400 == answer.status_code
    assert answer.json()["error"].startswith("the body: ")


async def test_faults_that_wait_are_bounded(control):
    """
    A hundred are enough for anybody.
    """
    for _ in range(100):
        await control("POST", "faults", {"next": {"fault": "drop", "times": 1_000_000}})

    assert 409 == (await control("POST", "faults", {"next": {"fault": "drop"}})).status_code
