"""What may be said of a message when it is submitted."""

import math
from datetime import datetime
from typing import TypedDict

from orange_sms_async.errors import InvalidMessage
from orange_sms_async.messages import OutboundMessage
from orange_sms_async.outbox import Entry
from orange_sms_async.outcomes import OnUnknown, Priority


class Terms(TypedDict, total=False):
    """
    What may be said of a message when it is submitted.

    Attributes:
        priority: its lane; NORMAL by default, BULK in a bulk.
        not_before: an aware datetime before which it does not leave.
        expires_at: an aware datetime after which it does not leave.
        on_unknown: "resend" sends it once more when its outcome is unknown. Use it when a
            duplicate is better than no SMS. "report" (the default) never sends it again.
    """

    priority: Priority
    not_before: datetime | None
    expires_at: datetime | None
    on_unknown: OnUnknown


def _timestamp(name: str, date: datetime | None, default: float) -> float:
    if date is None:
        return default
    if not isinstance(date, datetime) or date.tzinfo is None:
        raise InvalidMessage(f"{name}: a datetime with a time zone")
    return date.timestamp()


def as_entry(
    message: OutboundMessage,
    *,
    priority: Priority = Priority.NORMAL,
    not_before: datetime | None = None,
    expires_at: datetime | None = None,
    on_unknown: OnUnknown = "report",
) -> Entry:
    """
    Check what was said of a message, before anything is taken for it.

    Raises:
        InvalidMessage: names what is wrong.
    """
    if not isinstance(message, OutboundMessage):
        raise InvalidMessage("message: an OutboundMessage")
    if on_unknown not in ("report", "resend"):
        raise InvalidMessage('on_unknown: "report" or "resend"')
    return Entry(
        message,
        Priority(priority),
        _timestamp("not_before", not_before, 0.0),
        _timestamp("expires_at", expires_at, math.inf),
        on_unknown,
    )
