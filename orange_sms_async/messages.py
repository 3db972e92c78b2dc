"""A message to send, and Orange's answer when it accepts one."""

import os
import re
from functools import lru_cache
from typing import NewType

import attrs

from orange_sms_async.countries import Country
from orange_sms_async.errors import InvalidMessage

ResourceId = NewType("ResourceId", str)
"""Orange's id of a message it accepted: an opaque string, which its delivery receipt repeats."""


def mask(number: str) -> str:
    """Show enough of a number to recognise it, and too little to call it: +225******04."""
    digits = number.removeprefix("tel:")
    return f"{digits[:4]}******{digits[-2:]}" if len(digits) >= 10 else "******"


# Compiled here: a look-up in re's own cache costs as much again as the match.
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
_SENDER_NAME = re.compile(r"[A-Za-z0-9 ]{1,11}")
_SENDER_ADDRESS = re.compile(r"tel:\+[0-9]{3,15}")


# How people write a number: digits with separators.
_AS_PEOPLE_DO = re.compile(r"\+?(?:[\s().\-/\u2010-\u2015]*[0-9]){7,15}")
_IN_WORDS = {7: "seven", 8: "eight", 9: "nine", 10: "ten"}


def _check_number(_: object, attribute: "attrs.Attribute[str]", value: object) -> None:
    # E.164: at most fifteen digits with the calling code; none begins with 0.
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise InvalidMessage(f"{attribute.name}: {_how_to_write(value)}")
    try:
        country = Country.from_number(value[:4])
    except LookupError:
        return  # it needs a sender_address: that field's validator says so
    if len(value) - 4 not in country.digits and not country.has_number(value[4:]):
        raise InvalidMessage(f"{attribute.name}: {_how_many_digits(country, value)}")


def _how_to_write(value: object) -> str:
    if isinstance(value, str) and _AS_PEOPLE_DO.fullmatch(value):
        return "write it as +2250701020304: a + first, no spaces"
    return "a number in international form (E.164) is + and 7 to 15 digits, as in +2250701020304"


def how_many(country: Country) -> str:
    """Say how many digits the numbers of a country have."""
    digits = " or ".join(_IN_WORDS[count] for count in country.digits)
    # "+225 XX XX XX XX XX" since 31 January 2021 -- ARTCI, Plan national de numérotation
    since = " since 2021" if country.code == "CIV" else ""
    return f"{digits} digits{since}"


def _how_many_digits(country: Country, number: str) -> str:
    return (
        f"a number in {country.name} has {how_many(country)}, "
        f"and this one has {len(number) - 4} after {number[:4]}"
    )


def _check_text(_: object, attribute: "attrs.Attribute[str]", value: object) -> None:
    if not isinstance(value, str) or not value:
        raise InvalidMessage(f"{attribute.name}: a str that is not empty")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidMessage(f"{attribute.name}: contains half a character (a surrogate)") from None


def _check_sender_name(_: object, attribute: "attrs.Attribute[str]", value: object) -> None:
    # "limited to 11 alphanumeric characters or spaces; special characters are not allowed"
    # -- Orange, Getting started, 3.2
    if value is None:
        return
    if not isinstance(value, str) or not _SENDER_NAME.fullmatch(value):
        raise InvalidMessage(
            f"{attribute.name}: 1 to 11 letters (without accents), digits or spaces"
        )


def _check_sender_address(
    message: "OutboundMessage", _: "attrs.Attribute[str | None]", value: object
) -> None:
    if value is None:
        _country_sender(message.to[:4])
    elif not isinstance(value, str) or not _SENDER_ADDRESS.fullmatch(value):
        raise InvalidMessage("sender_address: tel:+ and 3 to 15 digits, as in tel:+2250000")


@lru_cache(maxsize=64)  # needed several times for each message
def _country_sender(prefix: str) -> str:
    try:
        return Country.from_number(prefix).sender_address
    except LookupError:
        raise InvalidMessage(
            "to: not in one of the 13 countries Orange sends to; "
            "if your account sends there, give its sender_address"
        ) from None


@attrs.frozen
class OutboundMessage:
    """
    One SMS to one person.

    Attributes:
        to: the recipient in international form (E.164), + and 7 to 15 digits: "+2250701020304". In
            the countries that Orange serves, the number must have that country's number of digits.
        text: what the recipient reads. Not empty. `count_segments` tells what it costs.
        sender_name: a name that Orange approved for your account: 1 to 11 letters (without
            accents), digits or spaces. None for the account's default ("SMS 123456").
        sender_address: the address it is sent from: tel:+ and 3 to 15 digits. By default, the
            address of the recipient's country, such as "tel:+2250000".
        on_net: pay with the "Orange only" offer. The message reaches only Orange's own network,
            and Orange does not report a message that does not arrive.
        reference: your own key for this message; generated by default. A queue treats all messages
            with the same reference as one message, however often they are submitted.

    Raises:
        InvalidMessage: a field breaks its rule, or Orange does not serve the recipient's country
            and there is no `sender_address`. Nothing was sent.
    """

    to: str = attrs.field(validator=_check_number, repr=mask)
    text: str = attrs.field(validator=_check_text, repr=False)
    sender_name: str | None = attrs.field(default=None, kw_only=True, validator=_check_sender_name)
    _sender_address: str | None = attrs.field(
        default=None,
        kw_only=True,
        alias="sender_address",
        repr=False,
        validator=_check_sender_address,
    )
    on_net: bool = attrs.field(default=False, kw_only=True)
    reference: str = attrs.field(
        factory=lambda: os.urandom(16).hex(), kw_only=True, validator=_check_text
    )

    @property
    def sender_address(self) -> str:
        """The address it is sent from."""
        return self._sender_address or _country_sender(self.to[:4])


def kept(
    to: str,
    text: str,
    *,
    sender_name: str | None,
    sender_address: str | None,
    on_net: bool,
    reference: str,
) -> OutboundMessage:
    """
    Build a message from fields that were checked when it was admitted, without checking them again.

    Rules change: a row that was valid in an older version must not stop a queue.
    """
    message = object.__new__(OutboundMessage)
    fields = {"to": to, "text": text, "sender_name": sender_name, "_sender_address": sender_address}
    for name, value in {**fields, "on_net": on_net, "reference": reference}.items():
        object.__setattr__(message, name, value)
    return message


@attrs.frozen(kw_only=True)
class SentMessage:
    """
    Orange accepted a message (201). It is not yet delivered.

    Attributes:
        resource_id: Orange's id of the message, which its delivery receipt repeats.
        request_id: X-OAPI-Request-Id of the answer. Orange's support asks for it.
    """

    resource_id: ResourceId
    request_id: str | None = None
