"""The terms on which a message may be submitted."""

import math
import re
from datetime import datetime
from typing import TypedDict, Unpack

from orange_sms_async.errors import InvalidMessage
from orange_sms_async.messages import OutboundMessage
from orange_sms_async.outbox import Entry
from orange_sms_async.outcomes import OnUnknown, Priority

_TRACEPARENT = re.compile("[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Terms(TypedDict, total=False):
    """
    The terms on which a message may be submitted.

    Attributes:
        priority: its lane; NORMAL by default, BULK in a bulk.
        not_before: an aware datetime before which it does not leave.
        expires_at: an aware datetime after which it does not leave.
        on_unknown: "resend" sends it once more when its outcome is unknown. Use it when a
            duplicate is better than no SMS. "report" (the default) never sends it again.
        context: a W3C traceparent, which travels with it to whoever sends it.
    """

    priority: Priority
    not_before: datetime | None
    expires_at: datetime | None
    on_unknown: OnUnknown
    context: str | None


def as_entry(message: OutboundMessage, **terms: Unpack[Terms]) -> Entry:
    """
    Check the terms of a message, before anything is reserved for it.

    Raises:
        InvalidMessage: names what is wrong.
    """
    if unknown := terms.keys() - Terms.__annotations__:
        raise TypeError(f"no such keyword: {', '.join(sorted(unknown))}")
    if not isinstance(message, OutboundMessage):
        raise InvalidMessage("message: an OutboundMessage")
    on_unknown = terms.get("on_unknown", "report")
    if on_unknown not in ("report", "resend"):
        raise InvalidMessage('on_unknown: "report" or "resend"')
    context = terms.get("context")
    if context is not None and not _TRACEPARENT.fullmatch(context):
        raise InvalidMessage("context: a traceparent, as W3C Trace Context writes it")
    return Entry(
        message,
        Priority(terms.get("priority", Priority.NORMAL)),
        _timestamp("not_before", terms.get("not_before"), 0.0),
        _timestamp("expires_at", terms.get("expires_at"), math.inf),
        on_unknown,
        context,
    )


def _timestamp(name: str, date: datetime | None, default: float) -> float:
    if date is None:
        return default
    if not isinstance(date, datetime) or date.tzinfo is None:
        raise InvalidMessage(f"{name}: a datetime with a time zone")
    return date.timestamp()
