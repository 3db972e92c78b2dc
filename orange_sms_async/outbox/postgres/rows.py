"""Rows of the outbox's tables as values, and values as rows."""

import json
from typing import Any, Protocol

from orange_sms_async import errors
from orange_sms_async.errors import OrangeSMSError
from orange_sms_async.messages import ResourceId, kept
from orange_sms_async.outbox import Claim, Entry, KeptMessage
from orange_sms_async.outcomes import OnUnknown, Outcome, Priority, State
from orange_sms_async.receipts import DeliveryReceipt


class Row(Protocol):
    """A row as a driver returns it, by column name."""

    def __getitem__(self, name: str, /) -> Any: ...


OUTCOME = (
    "id, reference, state, resource_id, error, reason, details, settled_by, delivery, recipient"
)
SECONDS = "extract(epoch FROM {0})::float8 AS {0}"  # of a date, infinite ones included


def kept_message(row: Row) -> KeptMessage:
    return KeptMessage(outcome(row), row["recipient"], row["attempted_at"], row["finished_at"])


def outcome(row: Row) -> Outcome:
    error: OrangeSMSError | None = None
    if row["error"] is not None:
        error = getattr(errors, row["error"])(row["reason"])
        vars(error).update(json.loads(row["details"] or "{}"))
    delivery = None
    if row["delivery"] is not None:
        address = f"tel:{row['recipient']}" if row["recipient"] else ""
        delivery = DeliveryReceipt(
            resource_id=row["resource_id"], status=row["delivery"], address=address
        )
    state, resource_id = State(row["state"]), row["resource_id"]
    return Outcome(row["reference"], state, resource_id, error, row["settled_by"], delivery)


def receipt(row: Row) -> DeliveryReceipt:
    return DeliveryReceipt(
        resource_id=ResourceId(row["resource_id"]),
        status=row["status"],
        address=row["address"] or "",
    )


def claim(row: Row, owner: str) -> Claim:
    message = kept(
        row["recipient"],
        row["text"],
        sender_name=row["sender_name"],
        sender_address=row["sender_address"],
        on_net=row["on_net"],
        reference=row["reference"],
    )
    wanted: OnUnknown = "report" if row["on_unknown"] == "report" else "resend"
    entry = Entry(
        message,
        Priority(row["priority"]),
        row["not_before"],
        row["expires_at"],
        wanted,
        row["context"],
    )
    return Claim(entry, owner, row["attempt"], row["on_unknown"] == "resent")


def entry_columns(entry: Entry) -> tuple[object, ...]:
    """Return the columns of a message to insert, in the order of `ENTRY`."""
    message = entry.message
    return (
        message.reference,
        State.SCHEDULED if entry.not_before else State.QUEUED,
        entry.priority,
        entry.not_before or float("-inf"),
        entry.expires_at,
        entry.on_unknown,
        message.to,
        message.text,
        message.sender_name,
        message.sender_address,
        message.on_net,
        entry.context,
    )


ENTRY = {
    "reference": "text",
    "state": "text",
    "priority": "smallint",
    "not_before": "float8",
    "expires_at": "float8",
    "on_unknown": "text",
    "recipient": "text",
    "text": "text",
    "sender_name": "text",
    "sender_address": "text",
    "on_net": "boolean",
    "context": "text",
}


def error_columns(error: OrangeSMSError | None) -> tuple[str | None, str | None, str | None]:
    """Return the name, words and details of an error, in our own classes' terms."""
    if error is None:
        return None, None, None
    # A custom client may raise its own class, which is unknown to whoever reads this row.
    name = next(base.__name__ for base in type(error).__mro__ if base.__module__ == errors.__name__)
    # Only what our own classes carry: a custom class may carry what must not be stored.
    ours = ("status_code", "code", "request_id", "reason", "accepted", "rule")
    details = {name: getattr(error, name) for name in ours if name in vars(error)}
    return name, storable(str(error)), json.dumps(details, default=str)


def storable(text: str) -> str:
    """Replace what JSON can contain and PostgreSQL cannot: half a character, and NUL."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")
