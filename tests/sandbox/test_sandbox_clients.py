"""What published clients send, byte for byte, and what they read of the answer.

Taken from the clients themselves, run unmodified: smsorange 2.0.5 (Node.js, axios),
python-orange-sms 0.1.4 and orangeapisms 0.28 (Python, requests; the latter of 2016). Of osms-php
(PHP, curl) and orange-sms-client-java (HttpURLConnection) the calls were run, written off.
"""

import asyncio
import json

import pytest

from orange_sms_async.sandbox import Sandbox
from orange_sms_async.sandbox.orange.wrong import Wrong

SMSORANGE_TOKEN = """\
POST /oauth/v3/token HTTP/1.1
Accept: application/json
Content-Type: application/x-www-form-urlencoded
Authorization: Basic c2FuZGJveDpzYW5kYm94
User-Agent: axios/0.27.2
Content-Length: 29
Host: api.orange.com
Connection: close

grant_type=client_credentials"""
SMSORANGE_SEND = """\
POST /smsmessaging/v1/outbound/tel:+2250000/requests?resource_type_parameter_management=SMS_OCB2 \
HTTP/1.1
Accept: application/json, text/plain, */*
Content-Type: application/json
Authorization: Bearer {token}
Accept-Charset: utf-8
User-Agent: axios/0.27.2
Content-Length: 172
Host: api.orange.com
Connection: close

{{"outboundSMSMessageRequest":{{"address":"tel:+2250701020304","senderAddress":"tel:+2250000",\
"senderName":"MonService","outboundSMSTextMessage":{{"message":"Ça va ? 👍"}}}}}}"""
PYTHON_ORANGE_SMS_SEND = """\
POST /smsmessaging/v1/outbound/tel%3A%2B22500001234/requests HTTP/1.1
Host: api.orange.com
User-Agent: python-requests/2.25.1
Accept-Encoding: gzip, deflate
Accept: */*
Connection: close
Authorization: Bearer {token}
Content-Type: application/json
Content-Length: 184

{{"outboundSMSMessageRequest": {{"address": "tel:+2250701020304", "senderAddress": \
"tel:+22500001234", "senderName": "MonService", "outboundSMSTextMessage": {{"message": \
"\\u00c7a va ?"}}}}}}"""
ORANGEAPISMS_TOKEN = """\
POST /oauth/v2/token HTTP/1.1
Host: api.orange.com
User-Agent: python-requests/2.25.1
Accept-Encoding: gzip, deflate
Accept: */*
Connection: close
Authorization: Basic c2FuZGJveDpzYW5kYm94
Content-Length: 29
Content-Type: application/x-www-form-urlencoded

grant_type=client_credentials"""
ORANGEAPISMS_SEND = """\
POST /smsmessaging/v1/outbound/tel%3A%2B2250000/requests HTTP/1.1
Host: api.orange.com
User-Agent: python-requests/2.25.1
Accept-Encoding: gzip, deflate
Accept: */*
Connection: close
Authorization: Bearer {token}
Content-type: application/json;charset=UTF-8
Content-Length: 183

{{"outboundSMSMessageRequest": {{"address": "tel:+2250701020304", "outboundSMSTextMessage": \
{{"message": "Bonjour \\u00e0 tous"}}, "senderAddress": "tel:+2250000", "senderName": \
"My App"}}}}"""
OSMS_PHP_SEND = """\
POST /smsmessaging/v1/outbound/tel%3A%2B2250000/requests HTTP/1.1
Host: api.orange.com
Accept: */*
Connection: close
Authorization: Bearer {token}
Content-Type: application/json
Content-Length: 167

{{"outboundSMSMessageRequest":{{"address":"tel:+2250701020304","senderAddress":"tel:+2250000",\
"senderName":"My+App","outboundSMSTextMessage":{{"message":"\\u00c7a va ?"}}}}}}"""
JAVA_SEND = """\
POST /smsmessaging/v1/outbound/tel:+2250000/requests HTTP/1.1
Content-Type: application/json
Accept: application/json
Authorization: Bearer {token}
User-Agent: Java/17.0.15
Host: api.orange.com
Connection: close
Content-Length: 142

{{"outboundSMSMessageRequest":{{"address":["tel:+2250701020304"],"senderAddress":"tel:+2250000",\
"outboundSMSTextMessage":{{"message":"Bonjour"}}}}}}"""
ORANGEAPISMS_CONTRACTS = """\
GET /sms/admin/v1/contracts HTTP/1.1
Host: api.orange.com
User-Agent: python-requests/2.25.1
Accept-Encoding: gzip, deflate
Accept: */*
Connection: close
Authorization: Bearer {token}
Content-type: application/json;charset=UTF-8

"""
ORANGEAPISMS_SUBSCRIBE = """\
POST /smsmessaging/v1/outbound/%2B2250000/subscriptions HTTP/1.1
Host: api.orange.com
User-Agent: python-requests/2.25.1
Accept-Encoding: gzip, deflate
Accept: */*
Connection: close
Authorization: Bearer {token}
Content-type: application/json;charset=UTF-8
Content-Length: 95

{{"deliveryReceiptSubscription": {{"callbackReference": {{"notifyURL": \
"https://example.org/dr"}}}}}}"""
ORANGEAPISMS_UNSUBSCRIBE = """\
DELETE /smsmessaging/v1/outbound/%2B2250000/subscriptions/{key} HTTP/1.1
Host: api.orange.com
User-Agent: python-requests/2.25.1
Accept-Encoding: gzip, deflate
Accept: */*
Connection: close
Authorization: Bearer {token}
Content-type: application/json;charset=UTF-8
Content-Length: 0

"""

pytestmark = pytest.mark.real_time


@pytest.fixture
def orange():
    return Sandbox(rate=None, sender_names={"MonService", "My App"}, account_shape="2021")


@pytest.fixture
def say(orange, serve):
    """Send these bytes, and give the status and what the JSON holds."""

    async def say(port, request, **parts):
        head, _, body = request.partition("\n\n")
        if parts:
            head, body = head.format(**parts), body.format(**parts)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body.encode())
        answer = await reader.read()
        writer.close()
        status, _, content = answer.partition(b"\r\n\r\n")
        return int(status.split()[1]), json.loads(content or b"null")

    with serve(orange) as served:
        port = int(served.base_url.rpartition(":")[2])
        yield lambda request, **parts: say(port, request, **parts)


@pytest.mark.parametrize("token_request", [SMSORANGE_TOKEN, ORANGEAPISMS_TOKEN])
@pytest.mark.parametrize(
    "message",
    [SMSORANGE_SEND, PYTHON_ORANGE_SMS_SEND, ORANGEAPISMS_SEND, OSMS_PHP_SEND, JAVA_SEND],
)
async def test_a_message_is_sent(orange, say, token_request, message):
    """
    They read the token, the status 201 and the resource URL.
    """
    status, issued = await say(token_request)
    sent, accepted = await say(message, token=issued["access_token"])
    url = accepted["outboundSMSMessageRequest"]["resourceURL"]

    assert (200, 201) == (status, sent)
    assert int(issued["expires_in"]) in {3_600, 7_776_000}
    assert orange.sent[0].resource_id == url.rsplit("/", 1)[-1]


@pytest.mark.parametrize("orange", [Sandbox(strict=True, sender_names={"MonService", "My App"})])
@pytest.mark.parametrize(
    ("message", "wrong"),
    [
        (SMSORANGE_SEND, None),
        (PYTHON_ORANGE_SMS_SEND, Wrong.FOREIGN_SENDER_ADDRESS),
        (ORANGEAPISMS_SEND, None),
        (OSMS_PHP_SEND, Wrong.ENCODED_SENDER_NAME),
        (JAVA_SEND, None),
    ],
)
async def test_a_strict_orange_refuses_what_is_wrong(orange, say, message, wrong):
    """
    And takes the rest: each client fails exactly where it would at Orange.
    """
    orange.reset()
    _, issued = await say(SMSORANGE_TOKEN)
    status, _ = await say(message, token=issued["access_token"])

    assert (400 if wrong else 201, wrong) == (status, orange.requests[-1].wrong)


async def test_a_balance_of_2016_is_read(say):
    """
    The sum over the contracts of an offer in a country.
    """
    _, issued = await say(ORANGEAPISMS_TOKEN)
    status, contracts = await say(ORANGEAPISMS_CONTRACTS, token=issued["access_token"])
    units = [
        of_country["availableUnits"]
        for contract in contracts["partnerContracts"]["contracts"]
        if contract["service"] == "SMS_OCB"
        for of_country in contract["serviceContracts"]
        if (of_country["country"], of_country["service"]) == ("CIV", "SMS_OCB")
    ]

    assert (200, [10_000_000]) == (status, units)


async def test_a_subscription_comes_and_goes(say):
    """
    By a sender address without its "tel:", as this client names it.
    """
    _, issued = await say(ORANGEAPISMS_TOKEN)
    token = issued["access_token"]
    created, subscription = await say(ORANGEAPISMS_SUBSCRIBE, token=token)
    key = subscription["deliveryReceiptSubscription"]["resourceURL"].rsplit("/", 1)[-1]
    deleted, _ = await say(ORANGEAPISMS_UNSUBSCRIBE, token=token, key=key)

    assert (201, 204) == (created, deleted)
