"""The closed sets that labels and attributes are taken from, so that none of them grows."""

from orange_sms_async import errors
from orange_sms_async.countries import COUNTRIES
from orange_sms_async.errors import OrangeSMSError, Withheld
from orange_sms_async.receipts import DeliveryStatus

OTHER = "other"
"""Stands for anything unknown, or in none of the sets."""

ERRORS = tuple(
    sorted(
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, OrangeSMSError)
    )
)
"""The classes of errors that an attempt can end with, by name."""

RULES = ("hours", "suppression", "per recipient", "budget", "gate", OTHER)
"""The names of rules. A rule of your own counts as "other"."""

_COUNTRIES = {country.calling_code: country.code for country in COUNTRIES}
_SENDERS = {country.sender_address for country in COUNTRIES}
_STATUSES = set(DeliveryStatus)
_NAMES: dict[type[OrangeSMSError], str] = {}


def country_of(number: str) -> str:
    """Return the country of a number, "+225…" or "tel:+225…", by its calling code."""
    return _COUNTRIES.get(number.removeprefix("tel:")[1:4], OTHER)


def sender_of(address: str) -> str:
    """Return the address a message is sent from, if Orange recommends that address."""
    return address if address in _SENDERS else OTHER  # another may be a person's number


def status_of(status: str) -> str:
    """Return a receipt's status, if Orange documents it."""
    return str(status) if status in _STATUSES else OTHER


def rule_of(error: Withheld) -> str:
    """Return the rule that withheld a message, if it is one of ours."""
    return error.rule if error.rule in RULES else OTHER


def error_name(error: OrangeSMSError) -> str:
    """Name the class of an error; for a class of your own, the class of ours that it extends."""
    kind = type(error)
    if kind not in _NAMES:
        ours = next(base for base in kind.__mro__ if base.__module__ == errors.__name__)
        if kind is not ours:
            return ours.__name__  # an application may make classes without end
        _NAMES[kind] = ours.__name__
    return _NAMES[kind]
