"""What Orange posts: receipts and replies."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import sample

from orange_sms_async import (
    DeliveryReceipt,
    DeliveryStatus,
    InboundMessage,
    InvalidReceipt,
    ResourceId,
    decode_inbound,
    decode_receipt,
)

RECEIPT = DeliveryReceipt(
    resource_id=ResourceId("81e4296d-1f4a-4c0b-9d3e-0a51e2f1c7aa"),
    status=DeliveryStatus.DELIVERED_TO_TERMINAL,
    address="tel:+2250701020304",
)


def notification(status="DeliveredToTerminal", **more):
    info = {"deliveryStatus": status, "address": "tel:+2250701020304"}
    return {"deliveryInfoNotification": {"deliveryInfo": info, "callbackData": "id-1"} | more}


@pytest.mark.parametrize("form", [bytes, bytes.decode, json.loads])
def test_a_receipt_is_read_however_it_is_held(form):
    """
    Bytes, text or what a framework has parsed already.
    """
    assert RECEIPT == decode_receipt(form(sample("receipts/delivered.json")))


@pytest.mark.parametrize(
    ("status", "is_final", "delivered"),
    [
        ("DeliveredToTerminal", True, True),
        ("DeliveredToNetwork", False, False),
        ("DeliveryUncertain", True, False),
        ("DeliveryImpossible", True, False),
        ("MessageWaiting", False, False),
        ("DeliveredToPigeon", False, False),
    ],
)
def test_statuses(status, is_final, delivered):
    """
    Only the phone's own word means delivered; two are temporary; a sixth stays a string.
    """
    receipt = decode_receipt(notification(status))

    assert (status, is_final, delivered) == (receipt.status, receipt.is_final, receipt.delivered)
    assert (status != "DeliveredToPigeon") == isinstance(receipt.status, DeliveryStatus)


@pytest.mark.parametrize(
    ("data", "resource_id"), [("", ""), (None, ""), ("id-9", "id-9"), (12, "12")]
)
def test_callback_data(data, resource_id):
    """
    Old accounts post an empty one.
    """
    assert resource_id == decode_receipt(notification(callbackData=data)).resource_id


def test_no_callback_data():
    """
    A receipt that names no message is a receipt all the same.
    """
    body = notification()
    del body["deliveryInfoNotification"]["callbackData"]

    assert decode_receipt(body).resource_id == ""


def test_a_reply():
    """
    The short number has no "tel:"; an id is there only sometimes.
    """
    expected = InboundMessage(
        sender_address="tel:+26771234567",
        destination_address="+26716968",
        message="Oui",
        date_time=datetime(2014, 4, 15, 7, 40, 13, tzinfo=UTC),
    )

    assert expected == decode_inbound(sample("receipts/reply.json"))


@pytest.mark.parametrize(
    ("more", "attribute", "value"),
    [
        ({"messageId": "m-1"}, "message_id", "m-1"),
        ({"dateTime": None}, "date_time", None),
        ({"message": ""}, "message", ""),
        ({"channel": "SMS"}, "message", "Oui"),
    ],
)
def test_replies_that_hold_more_or_less(more, attribute, value):
    """
    A missing date, an empty text and new fields are no reason to lose a reply.
    """
    body = json.loads(sample("receipts/reply.json"))
    body["inboundSMSMessageNotification"]["inboundSMSMessage"] |= more

    assert value == getattr(decode_inbound(body), attribute)


RUBBISH = [
    b"",
    "",
    b"\xff\xfe\x00",
    b"<html>",
    b"null",
    b"[]",
    b"7",
    None,
    {},
    {"deliveryInfoNotification": None, "inboundSMSMessageNotification": None},
    {"deliveryInfoNotification": [], "inboundSMSMessageNotification": []},
    {"deliveryInfoNotification": {}, "inboundSMSMessageNotification": {}},
    {"deliveryInfoNotification": {"deliveryInfo": []}},
    {"deliveryInfoNotification": {"deliveryInfo": {"address": "tel:+2250701020304"}}},
    notification(status=None),
    notification(status={}),
    notification(callbackData=["id"]),
    {"inboundSMSMessageNotification": {"inboundSMSMessage": {"message": "secret words"}}},
    {"inboundSMSMessageNotification": {"inboundSMSMessage": "secret words"}},
    b"[" * 100_000,
    '{"deliveryInfoNotification":' * 50_000,
    b"9" * 5_000,
]


@pytest.mark.parametrize("decode", [decode_receipt, decode_inbound])
@pytest.mark.parametrize("body", RUBBISH)
def test_rubbish(decode, body):
    """
    One error for all of it, a ValueError too, which shows nothing of what was posted.
    """
    with pytest.raises(InvalidReceipt, match="as Orange posts it") as caught:
        decode(body)

    assert isinstance(caught.value, ValueError)
    assert "secret" not in str(caught.value)


WORDS = """
    deliveryInfoNotification deliveryInfo callbackData address deliveryStatus dateTime message
    inboundSMSMessageNotification inboundSMSMessage senderAddress destinationAddress
"""
KEYS = st.sampled_from(WORDS.split())
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=8
)
NOTIFICATIONS = st.one_of(
    st.fixed_dictionaries(
        {"deliveryInfoNotification": JSON, "inboundSMSMessageNotification": JSON}
    ),
    JSON.map(lambda info: {"deliveryInfoNotification": {"deliveryInfo": info}}),
    JSON.map(lambda sms: {"inboundSMSMessageNotification": {"inboundSMSMessage": sms}}),
)
POSTED = st.one_of(st.binary(), st.text(), JSON.map(json.dumps), NOTIFICATIONS)


@given(POSTED)
def test_whatever_is_posted(body):
    """
    It is read, or it is InvalidReceipt; nothing else is ever raised.
    """
    for decode, type_ in ((decode_receipt, DeliveryReceipt), (decode_inbound, InboundMessage)):
        try:
            decoded = decode(body)
        except InvalidReceipt:
            continue
        assert isinstance(decoded, type_)
