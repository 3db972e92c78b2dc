"""Sending: what Orange takes, and what it says of the rest."""

import json
import re

import pytest

from orange_sms_async.sandbox import Sandbox

UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
SEND = "/smsmessaging/v1/outbound/tel%3A%2B2250000/requests"


def exception(answer):
    """Status, message id and first variable of an error of the SMS backend."""
    (content,) = answer.json()["requestError"].values()
    return answer.status_code, content["messageId"], content["variables"][0]


async def test_a_message_is_accepted(sandbox, client, send):
    """
    201 as captured: a list of addresses, no sender name if none was sent, the URL twice.
    """
    answer = await send(client, "Hello!")
    request = answer.json()["outboundSMSMessageRequest"]
    url = request.pop("resourceURL")

    assert (201, url) == (answer.status_code, answer.headers["Location"])
    assert re.fullmatch(rf"{SEND.replace('%3A%2B', ':[+]')}/{UUID}", url.partition("orange.com")[2])
    assert sandbox.sent[0].resource_id == url.rpartition("/")[2]
    assert {
        "address": ["tel:+2250701020304"],
        "senderAddress": "tel:+2250000",
        "outboundSMSTextMessage": {"message": "Hello!"},
    } == request


async def test_keys_come_in_the_captured_order(client, send):
    """
    A sender name that was sent comes back third.
    """
    answer = await send(client, senderName="MonService")

    assert [
        "address",
        "senderAddress",
        "senderName",
        "outboundSMSTextMessage",
        "resourceURL",
    ] == list(answer.json()["outboundSMSMessageRequest"])


async def test_what_was_taken_is_kept(sandbox, client, send):
    """
    The evidence has all parts of the message.
    """
    await send(client, "é" * 161, senderName="MonService")
    sent = sandbox.sent[0]

    assert ("tel:+2250701020304", "tel:+2250000", "MonService", "é" * 161, 2, False) == (
        sent.address,
        sent.sender_address,
        sent.sender_name,
        sent.text,
        sent.segments,
        sent.on_net,
    )
    assert "DeliveredToTerminal" == sent.status


@pytest.mark.parametrize(
    "media_type", ["application/json", "Application/json", "application/json;charset=UTF-8"]
)
async def test_media_types_of_existing_clients(client, request_for, media_type):
    """
    All spellings of JSON are JSON.
    """
    headers = {"Content-Type": media_type}
    answer = await client.post(SEND, content=json.dumps(request_for()), headers=headers)

    assert 201 == answer.status_code


@pytest.mark.parametrize("segment", ["tel%3A%2B2250000", "tel%3a%2b2250000", "tel:+2250000"])
async def test_the_sender_segment_may_be_raw(client, send, segment):
    """
    A plus in a path is a plus, never a space.
    """
    assert 201 == (await send(client, segment=segment)).status_code


@pytest.mark.parametrize(
    "parts",
    [
        {"address": ["tel:+2250701020304"]},
        {"senderName": None},
        {"senderName": ""},
        {"senderName": "SMS 123456"},
        {"senderName": "Mon Service"},
        {"senderName": "Mon+Service"},
    ],
)
async def test_bodies_of_existing_clients(connect, send, parts):
    """
    A list of one, an empty name, the default name, a name with a space, URL-encoded by mistake.
    """
    sandbox = Sandbox(sender_names=["Mon Service"])
    client = await connect(sandbox, transport=sandbox.transport)

    assert 201 == (await send(client, **parts)).status_code
    assert (parts.get("senderName") or None) == sandbox.sent[0].sender_name


@pytest.mark.parametrize(
    "accept", ["text/html", "*/*", "application/*;q=0.1", "Application/JSON", "", "text/xml, */*"]
)
async def test_the_accept_of_existing_clients_will_do(client, send, accept):
    """
    They ask the message endpoint for all sorts of things.
    """
    client.headers["Accept"] = accept
    del client.headers["User-Agent"]

    assert 201 == (await send(client)).status_code


@pytest.mark.parametrize(
    "accept", ["image/png", "application/json;q=0", "application/json; q=0.0, */*", "*/*;q=0"]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/smsmessaging/v1/outbound/tel%3A%2B2250000/requests"),
        ("POST", "/oauth/v3/token"),
        ("GET", "/sms/admin/v1/contracts"),
        ("GET", "/smsmessaging/v1/outbound/subscriptions/1"),
    ],
)
async def test_an_accept_that_excludes_json(client, method, path, accept):
    """
    It is looked at on every endpoint, a weight of nothing included.
    """
    answer = await client.request(method, path, headers={"Accept": accept})

    assert (406, 62) == (answer.status_code, answer.json()["code"])


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"address": None}, (400, "SVC0004", "address")),
        ({"address": []}, (400, "SVC0004", "address")),
        ({"address": 7}, (400, "SVC0004", "address")),
        ({"address": {}}, (400, "SVC0004", "address")),
        ({"address": "+2250701020304"}, (400, "SVC0004", "address")),
        ({"address": "tel:2250701020304"}, (400, "SVC0004", "address")),
        ({"address": "tel:+22507 01020304"}, (400, "SVC0004", "address")),
        ({"address": "tel:+225"}, (400, "SVC0004", "address")),
        ({"address": "tel:+٢٢٥٠٧٠١٠٢٠٣"}, (400, "SVC0004", "address")),
        ({"address": ["tel:+2250701020304"] * 2}, (403, "POL0003", "address")),
        ({"senderAddress": None}, (400, "SVC0004", "senderAddress")),
        ({"senderAddress": ["tel:+2250000"]}, (400, "SVC0004", "senderAddress")),
        ({"senderAddress": "tel:+98123"}, (400, "SVC0004", "senderAddress")),
        ({"senderAddress": "MonService"}, (400, "SVC0004", "senderAddress")),
        ({"senderAddress": "tel:+2210000"}, (400, "SVC0002", "senderAddress")),
        ({"senderName": "Unapproved"}, (400, "SVC0002", "senderName")),
        ({"senderName": "MonServiceQuiEstLong"}, (400, "SVC0002", "senderName")),
        ({"senderName": "Né"}, (400, "SVC0002", "senderName")),
        ({"senderName": 7}, (400, "SVC0002", "senderName")),
        ({"outboundSMSTextMessage": None}, (400, "SVC0002", "outboundSMSTextMessage")),
        ({"outboundSMSTextMessage": "Hello"}, (400, "SVC0002", "outboundSMSTextMessage")),
        ({"outboundSMSTextMessage": {"message": 7}}, (400, "SVC0002", "outboundSMSTextMessage")),
        ({"outboundSMSTextMessage": {"message": ""}}, (400, "SVC0002", "outboundSMSTextMessage")),
        ({"outboundSMSTextMessage": {"message": "a" * 1025}}, (400, "SVC0280", "1024")),
        (
            {"address": "tel:+33612345678"},
            (403, "POL0001", "No contract found for the given country"),
        ),
    ],
)
async def test_the_backend_names_what_is_wrong(sandbox, client, send, parts, expected):
    """
    An error of the SMS backend names the part; nothing is taken.
    """
    answer = await send(client, **parts)

    assert expected == exception(answer)
    assert [] == sandbox.sent


async def test_a_name_is_approved_and_a_name(connect, send):
    """
    Approving what is no sender name does not make it one.
    """
    sandbox = Sandbox(sender_names=["Mon_Service"])
    client = await connect(sandbox, transport=sandbox.transport)

    assert (400, "SVC0002", "senderName") == exception(await send(client, senderName="Mon_Service"))


async def test_half_a_surrogate_pair_is_no_text(client, request_for):
    """
    JSON can say what UTF-8 cannot.
    """
    headers = {"Content-Type": "application/json"}
    body = json.dumps(request_for("\ud83d"))
    answer = await client.post(SEND, content=body, headers=headers)

    assert (400, "SVC0002", "outboundSMSTextMessage") == exception(answer)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, 21),
        (b" \n", 400, 21),
        (b"\x00\xff\xfe", 400, 22),
        (b'{"outboundSMSMessageRequest": "\xe9"}', 400, 22),
        (b"[]", 400, 22),
        (b"null", 400, 22),
        (b"[" * 60_000, 400, 22),
        (b"1" * 60_000, 400, 22),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 400, 22),
        (b" " * 65_537, 413, 66),
    ],
)
async def test_the_gateway_refuses_rubbish(client, body, status, code):
    """
    What is no JSON object never reaches the backend.
    """
    answer = await client.post(SEND, content=body, headers={"Content-Type": "application/json"})

    assert (status, code) == (answer.status_code, answer.json()["code"])


async def test_an_object_without_a_request(client):
    """
    Valid JSON of another kind is the backend's to refuse.
    """
    answer = await client.post(SEND, json={"outboundSMSMessageRequest": []})

    assert (400, "SVC0002", "outboundSMSMessageRequest") == exception(answer)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/nowhere", 404, 60),
        ("POST", "/", 404, 60),
        ("GET", SEND, 405, 61),
        ("PUT", "/oauth/v3/token", 405, 61),
        ("POST", "/sms/admin/v1/contracts", 405, 61),
    ],
)
async def test_paths_and_methods(client, method, path, status, code):
    """
    Each answer, errors too, has the id that Orange's support asks for.
    """
    answer = await client.request(method, path)

    assert (status, code) == (answer.status_code, answer.json()["code"])
    assert re.fullmatch(UUID, answer.headers["X-OAPI-Request-Id"])


async def test_other_media_types_are_refused(client):
    """
    A form is no JSON, and no type at all is none either.
    """
    form = await client.post(SEND, data={"a": "b"})
    untyped = await client.post(SEND, content=b"{}")

    assert [(415, 68)] * 2 == [(a.status_code, a.json()["code"]) for a in (form, untyped)]


async def test_credentials_come_before_the_body(client):
    """
    Without a token nobody learns that the body is missing too.
    """
    del client.headers["Authorization"]
    answer = await client.post(SEND)

    assert (401, 40) == (answer.status_code, answer.json()["code"])


async def test_the_limit_comes_between_the_token_and_the_body(connect, send):
    """
    Who has no token uses no rate; who sends rubbish has used it.
    """
    sandbox = Sandbox(rate=1)
    client = await connect(sandbox, transport=sandbox.transport)
    nobody = await client.post(SEND, headers={"Authorization": ""})
    rubbish, throttled = await client.post(SEND, content=b"\xff"), await send(client)

    assert [401, 415, 403] == [a.status_code for a in (nobody, rubbish, throttled)]
    assert 53 == throttled.json()["code"]


@pytest.mark.parametrize("throttle", ["rolling", "bucket", "spike"])
@pytest.mark.parametrize("status", [403, 429])
async def test_the_limit_is_enforced(connect, send, throttle, status):
    """
    Code 53 under one status or the other; only messages are counted.
    """
    sandbox = Sandbox(rate=1, throttle=throttle, throttle_status=status)
    client = await connect(sandbox, transport=sandbox.transport)
    answers = [await send(client) for _ in range(3)]

    assert [201, status, status] == [answer.status_code for answer in answers]
    assert (1, 2, 3) == (len(sandbox.sent), sandbox.throttled, sandbox.most_in_a_second)
    assert 200 == (await client.get("/sms/admin/v1/contracts")).status_code


@pytest.mark.parametrize(
    "settings", [{"throttle": "sometimes"}, {"throttle_status": 400}, {"rate": 0}, {"latency": -1}]
)
def test_settings_are_checked(settings):
    """
    A sandbox that could not be is not made.
    """
    with pytest.raises(ValueError, match=next(iter(settings))):
        Sandbox(**settings)


async def test_legacy_subscriptions(client):
    """
    Old clients make, read and delete one.
    """
    body = {"deliveryReceiptSubscription": {"callbackReference": {"notifyURL": "https://a.test"}}}
    outbound = "/smsmessaging/v1/outbound"
    made = await client.post(f"{outbound}/tel%3A%2B2250000/subscriptions", json=body)
    url = made.json()["deliveryReceiptSubscription"]["resourceURL"]
    key = url.rpartition("/")[2]
    read = await client.get(f"{outbound}/subscriptions/{key}")
    deleted = [(await client.delete(url)).status_code for _ in range(2)]

    assert (201, 200, made.json()) == (made.status_code, read.status_code, read.json())
    assert [204, 404] == deleted
    assert 404 == (await client.get(f"{outbound}/subscriptions/{key}")).status_code


@pytest.mark.parametrize(
    ("subscription", "code"),
    [
        (None, 23),
        ({}, 24),
        ({"callbackReference": "x"}, 24),
        ({"callbackReference": {"notifyURL": "https://\ud800"}}, 24),
    ],
)
async def test_a_subscription_needs_a_url(client, subscription, code):
    """
    The gateway says which.
    """
    answer = await client.post(
        "/smsmessaging/v1/outbound/tel:+2250000/subscriptions",
        content=json.dumps({"deliveryReceiptSubscription": subscription}),
        headers={"Content-Type": "application/json"},
    )

    assert (400, code) == (answer.status_code, answer.json()["code"])


async def test_a_resource_is_where_the_client_called(sandbox, connect, send):
    """
    Its URL has the scheme and host of the request.
    """
    client = await connect(sandbox, "http://localhost:8025", sandbox.transport)
    answer = await send(client)

    assert answer.headers["Location"].startswith("http://localhost:8025/smsmessaging/")
