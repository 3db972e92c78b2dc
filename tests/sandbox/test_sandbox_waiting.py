"""A test in any language waits for a message, answers it, and begins anew."""

import asyncio
import json

import httpx
import pytest

from orange_sms_async import decode_inbound
from orange_sms_async.sandbox import ReceiptFaults, Sandbox
from orange_sms_async.sandbox.orange.awaited import code_in
from orange_sms_async.sandbox.seed_file import SeedFileError, read_seed


@pytest.fixture
def inbound():
    """What the user's endpoint was sent."""
    return []


@pytest.fixture
def sandbox(inbound):
    def taken(request):
        inbound.append((str(request.url), request.content))
        return httpx.Response(200)

    return Sandbox(
        rate=None,
        seed=1,
        receipt_url="https://example.org/receipts",
        reply_url="https://example.org/replies",
        receipt_transport=httpx.MockTransport(taken),
    )


async def test_a_message_is_waited_for(client, send, control):
    """
    Whoever asks before it is sent is answered when it is.
    """
    query = "wait?to=%2B225 07 01 02 03 04&text=CODE&timeout=60"
    waiting = asyncio.create_task(control("GET", query))
    await send(client, "something else")
    await send(client, "a code", address="tel:+2250701020305")
    await send(client, "Votre code")

    assert "Votre code" == (await waiting).json()["text"]


async def test_a_one_time_code_comes_alone(client, send, control):
    """
    The newest, as plain digits; what holds none is passed by.
    """
    await send(client, "Votre code est 123 456, valable 10 minutes")
    await send(client, "Merci")
    answer = await control("GET", "wait?code=1")

    assert ("123456", "text/plain; charset=utf-8") == (answer.text, answer.headers["content-type"])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Code: 4821", "4821"),
        ("G-912834 est votre code", "912834"),
        ("391-204", "391204"),
        ("Appelez le +2250701020304 ou le 0701020304", None),
        ("10 minutes", None),
    ],
)
def test_what_is_a_code(text, code):
    """
    Four to eight digits, in one or in two; no part of a phone number.
    """
    assert code == code_in(text)


async def test_after_a_message_the_next_is_waited_for(client, send, control):
    """
    What was there before the test began does not count; and nobody waits for ever.
    """
    await send(client, "old")
    number = (await control("GET", "wait")).json()["number"]
    nothing = await control("GET", f"wait?after={number}&timeout=2")
    await send(client, "new")
    found = await control("GET", f"wait?after={number}")

    assert (404, "no such message within 2 seconds") == (
        nothing.status_code,
        nothing.json()["error"],
    )
    assert "new" == found.json()["text"]


async def test_python_waits_as_well(sandbox, client, send):
    """
    For the message itself.
    """
    await send(client, "Bonjour")

    assert "Bonjour" == (await sandbox.wait(to="+2250701020304")).sent.text
    with pytest.raises(TimeoutError):
        await sandbox.wait(text="Adieu", timeout=1)


async def test_a_recipient_answers(sandbox, client, send, control, inbound):
    """
    As Orange posts it, to the number that had written; our own decoder reads it.
    """
    await send(client)
    said = {"address": "+2250701020304", "text": "OUI 👍"}
    answer = (await control("POST", "reply", said)).json()
    ((url, body),) = [posted for posted in inbound if posted[0].endswith("/replies")]
    message = decode_inbound(body)

    assert "https://example.org/replies" == url
    assert ("tel:+2250701020304", "+2250000", "OUI 👍") == (
        message.sender_address,
        message.destination_address,
        message.message,
    )
    assert (200, "OUI 👍") == (answer["answer"], sandbox.replies[0].text)
    assert [answer] == (await control("GET", "replies")).json()["replies"]


async def test_a_stranger_can_write_too(sandbox, control, inbound):
    """
    To the country's number; without a number, or nowhere to post to, nobody writes.
    """
    await sandbox.reply("+221771234567", "Bonjour")
    bare = Sandbox()

    assert (
        "+2210000"
        == json.loads(inbound[0][1])["inboundSMSMessageNotification"]["inboundSMSMessage"][
            "destinationAddress"
        ]
    )
    bad = await control("POST", "reply", {"address": "MonService", "text": "x"})
    nowhere = await control("POST", "reply", {"address": "+2250701020304", "text": "x"}, of=bare)
    assert (400, 409) == (bad.status_code, nowhere.status_code)


async def test_a_subscription_gets_the_receipts(client, send, inbound):
    """
    Those of its sender's messages, until it is deleted.
    """
    path = "/smsmessaging/v1/outbound/tel%3A%2B2250000/subscriptions"
    url = "https://example.org/subscribed"
    body = {"deliveryReceiptSubscription": {"callbackReference": {"notifyURL": url}}}
    made = await client.post(path, json=body)
    await send(client)
    await asyncio.sleep(5)
    location = made.headers["Location"]
    await client.delete(location)
    await send(client)
    await asyncio.sleep(5)

    assert 24 == len(location.rpartition("/")[2])
    assert [url, "https://example.org/receipts"] == [posted for posted, _ in inbound]
    plain = json.loads(json.dumps(body).replace("https", "http"))
    assert 400 == (await client.post(path, json=plain)).status_code


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ({"revived": 1}, ["DeliveryImpossible", "DeliveredToTerminal"]),
        ({"repeats": 2}, ["DeliveredToTerminal"]),
    ],
)
async def test_receipts_go_wrong_in_more_ways(sandbox, client, send, faults, said):
    """
    Impossible at first and delivered then; repeated only where the answer was none to be glad of.
    """
    sandbox.receipt_faults = ReceiptFaults(**faults)
    await send(client)
    await asyncio.sleep(10)

    assert said == [receipt.status for receipt in sandbox.receipts]


async def test_a_receipt_is_repeated_until_it_is_taken(connect, send):
    """
    So many times more, a usual delay apart, with an empty callbackData if need be.
    """
    answers = iter([500, 503, 200, 200])
    endpoint = httpx.MockTransport(lambda _: httpx.Response(next(answers)))
    faults = ReceiptFaults(repeats=5, unnamed=1)
    sandbox = Sandbox(receipt_url="https://e", receipt_transport=endpoint, receipt_faults=faults)
    await send(await connect(sandbox, transport=sandbox.transport))
    await asyncio.sleep(10)

    assert [500, 503, 200] == [receipt.answer for receipt in sandbox.receipts]
    assert all('"callbackData":""' in receipt.body for receipt in sandbox.receipts)


async def test_a_reset_is_a_beginning(sandbox, client, send, control):
    """
    Nothing sent, no token known, no fault, the units of the first day, and no late receipt.
    """
    first = (await control("GET", "account")).json()["contracts"]
    developer = sandbox.account.developer_id
    sandbox.latency, sandbox.receipt_faults = 1.0, ReceiptFaults(lost=1)
    sandbox.account.expire("CIV")
    sandbox.account.approve("Boutique")
    sandbox.fail_sometimes(0.5, "drop")
    sandbox.receipt_delay = 60
    await send(client, address="tel:+221771234567")
    await control("POST", "reset")
    refused = await send(client)
    await asyncio.sleep(100)

    assert (401, []) == (refused.status_code, sandbox.sent)
    assert (0, 1, []) == (sandbox.latency, sandbox.receipt_delay, sandbox.receipts)
    assert first == (await control("GET", "account")).json()["contracts"]
    assert developer == sandbox.account.developer_id
    assert {"MonService", "SMS 123456"} == sandbox.account.sender_names
    assert (0, 1) == (sandbox.statistics().accepted, sandbox.statistics().refused)
    assert (None, ReceiptFaults()) == (sandbox.faults.chance, sandbox.receipt_faults)


def test_a_sandbox_begins_as_a_file_says(tmp_path):
    """
    Contracts with their units, and sender names.
    """
    path = tmp_path / "seed.json"
    contract = {"country": "SEN", "available_units": 7, "expiration_date": "2030-01-31T23:59:59Z"}
    path.write_text(json.dumps({"contracts": [contract], "sender_names": ["Boutique"]}))
    sandbox = Sandbox(**read_seed(path))
    (opened,) = sandbox.account.contracts

    assert ("SEN", 7, 2030) == (
        opened.country,
        opened.available_units,
        opened.expiration_date.year,
    )
    assert "Boutique" in sandbox.account.sender_names


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not JSON"),
        ("[]", "a JSON object"),
        ('{"names": []}', "'names': one of contracts, sender_names"),
        ('{"contracts": {}}', "contracts: a list"),
        ('{"contracts": [{"country": "FRA"}]}', "contract.country: BFA"),
        ('{"contracts": [3]}', "contract: a JSON object"),
        ('{"contracts": [{"country": "CIV", "available_units": -1}]}', "from 0 to"),
        ('{"sender_names": ["+++"]}', "1 to 11 letters"),
    ],
)
def test_a_bad_seed_is_said_in_one_line(tmp_path, content, said):
    """
    With the file's name and the rule it breaks.
    """
    path = tmp_path / "seed.json"
    path.write_text(content)
    with pytest.raises(SeedFileError) as caught:
        read_seed(path)
    with pytest.raises(SeedFileError, match="No such file"):
        read_seed(tmp_path / "nowhere.json")

    assert str(caught.value).startswith(str(path))
    assert said in str(caught.value)
