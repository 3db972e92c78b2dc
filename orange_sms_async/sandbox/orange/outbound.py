"""A message as the SMS backend reads it: a missing or wrong field is refused by name."""

import re
from collections.abc import Container
from typing import Any
from urllib.parse import unquote

import attrs

from orange_sms_async.sandbox.orange.answers import RefusalError, backend_error, gateway_error
from orange_sms_async.sandbox.orange.wrong import Wrong
from orange_sms_async.sandbox.settings import (
    ALL_NETWORKS,
    COUNTRIES,
    ON_NET,
    SENDER_NUMBER,
    Settings,
)

# "Other numbers may exist for some accounts", so any full number is taken. A short code or a name
# is the commonest mistake, and is refused.
_SENDER_ADDRESS = re.compile(r"tel:\+[1-9][0-9]{6,14}")
_ADDRESS = re.compile(r"tel:\+[1-9][0-9]{7,14}")

# Ten digits "since 2021". The leading 0 is part of the number (seen); it is often cut off.
_IVORIAN = re.compile(r"tel:\+225[0-9]{10}")

# "Limited to 11 alphanumeric characters or spaces" (D).
_SENDER_NAME = re.compile(r"[A-Za-z0-9 ]{1,11}")


@attrs.frozen(kw_only=True)
class Outbound:
    """
    A message that was read.

    Attributes:
        address: the recipient, in Orange's form `tel:+...`.
        sender_address: in the same form; it is also in the path.
        sender_name: None if none was given.
        text: at least one character.
        on_net: whether the offer for Orange's own network was asked for.
    """

    address: str
    sender_address: str
    sender_name: str | None
    text: str
    on_net: bool


def read_outbound(
    segment: str,
    query: dict[str, str],
    content: dict[str, Any],
    settings: Settings,
    approved: Container[str],
) -> Outbound:
    """
    Read the body of a request for one message.

    Args:
        segment: the sender address as in the path.
        query: the query string, by name.
        content: the body.
        settings: what Orange does not document: the longest text, the error for a name.
        approved: the approved sender names.

    Returns:
        The message.

    Raises:
        RefusalError: something is missing or wrong; it carries Orange's answer.
    """
    on_net = _read_on_net(query)
    if not settings.raw_sender and ("+" in segment or ":" in segment):
        raise RefusalError(gateway_error(20), Wrong.ENCODED_SENDER)
    request = content.get("outboundSMSMessageRequest")
    if not isinstance(request, dict):
        refusal = backend_error("SVC0002", "outboundSMSMessageRequest")
        raise RefusalError(refusal, Wrong.NO_REQUEST)
    address = _read_address(request.get("address"), settings)
    return Outbound(
        address=address,
        sender_address=_read_sender_address(
            request.get("senderAddress"), segment, address, settings
        ),
        sender_name=_read_sender_name(request.get("senderName"), settings, approved),
        text=_read_text(request.get("outboundSMSTextMessage"), settings.longest_message),
        on_net=on_net,
    )


def _read_on_net(query: dict[str, str]) -> bool:
    wanted = query.get("resource_type_parameter_management")
    if wanted not in (None, ALL_NETWORKS, ON_NET):
        raise RefusalError(gateway_error(28), Wrong.RESOURCE_TYPE)
    return wanted == ON_NET


def _read_address(value: object, settings: Settings) -> str:
    """One recipient, as a string or as a list of one: existing clients send both."""
    addresses = value if isinstance(value, list) else [value]
    if len(addresses) > 1:
        raise RefusalError(backend_error("POL0003", "address"), Wrong.ADDRESSES)
    address = addresses[0] if addresses else None
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
        raise RefusalError(backend_error("SVC0004", "address"), Wrong.ADDRESS)
    ivorian = "ivorian_numbers" in settings.strict and address.startswith("tel:+225")
    if ivorian and not _IVORIAN.fullmatch(address):
        raise RefusalError(backend_error("SVC0004", "address"), Wrong.IVORIAN_DIGITS)
    return address


def _read_sender_address(value: object, segment: str, address: str, settings: Settings) -> str:
    if not isinstance(value, str) or not _SENDER_ADDRESS.fullmatch(value):
        raise RefusalError(backend_error("SVC0004", "senderAddress"), Wrong.SENDER_ADDRESS)
    # The segment comes encoded or raw; `+` is a plus in a path, so it is not unquote_plus.
    if unquote(segment) != value:
        refusal = backend_error("SVC0002", "senderAddress")
        raise RefusalError(refusal, Wrong.OTHER_SENDER_ADDRESS)
    code = address.removeprefix("tel:+")[:3]
    ours = f"tel:+{code}{SENDER_NUMBER}" if code in COUNTRIES else value
    if "sender_addresses" in settings.strict and value != ours:
        raise _sender_refusal(settings, "senderAddress", Wrong.FOREIGN_SENDER_ADDRESS)
    return value


def _sender_refusal(settings: Settings, part: str, wrong: Wrong) -> RefusalError:
    error = settings.sender_name_error
    return RefusalError(backend_error(error, part if error == "SVC0002" else "POL2204"), wrong)


def _read_sender_name(value: object, settings: Settings, approved: Container[str]) -> str | None:
    if value is None or value == "":  # two existing clients send these for "the default one"
        return None
    # Four existing clients URL-encode the name inside JSON. A choice: what they send for a name
    # with a space is taken, as they could not be used otherwise.
    name = value.replace("+", " ") if isinstance(value, str) else ""
    if not isinstance(value, str) or not may_be_sender_name(name) or name not in approved:
        raise _sender_refusal(settings, "senderName", Wrong.SENDER_NAME)
    if "sender_names" in settings.strict and name != value:
        raise _sender_refusal(settings, "senderName", Wrong.ENCODED_SENDER_NAME)
    return value


def may_be_sender_name(name: str) -> bool:
    """Say whether Orange could approve a sender name."""
    return _SENDER_NAME.fullmatch(name) is not None


def _read_text(value: object, longest: int) -> str:
    text = value.get("message") if isinstance(value, dict) else None
    if not isinstance(text, str) or not text or not _is_unicode(text):
        raise RefusalError(backend_error("SVC0002", "outboundSMSTextMessage"), Wrong.TEXT)
    if len(text) > longest:
        raise RefusalError(backend_error("SVC0280", str(longest)), Wrong.LONG_TEXT)
    return text


def _is_unicode(text: str) -> bool:
    """JSON can escape half a surrogate pair, which no answer could repeat."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
