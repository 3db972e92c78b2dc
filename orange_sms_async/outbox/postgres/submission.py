"""A message as a statement for the application's own transaction, whatever its driver."""

from typing import Literal, NamedTuple, Unpack

from orange_sms_async.errors import InvalidMessage
from orange_sms_async.messages import OutboundMessage
from orange_sms_async.outbox import Entry
from orange_sms_async.outbox.terms import Terms, as_entry

Style = Literal["named", "pyformat", "numeric"]
_LONGEST = 2000  # bytes that fit in an index of PostgreSQL, with some to spare
_TYPES = {
    "account": "text",
    "reference": "text",
    "recipient": "text",
    "text": "text",
    "priority": "integer",
    "not_before": "timestamptz",
    "expires_at": "timestamptz",
    "on_unknown": "text",
    "sender_name": "text",
    "sender_address": "text",
    "on_net": "boolean",
    "context": "text",
}


class Submission(NamedTuple):
    """
    The statement for a driver to execute.

    Attributes:
        statement: one SELECT; its value is the state of the message.
        parameters: by name, or in order if the style is "numeric".
    """

    statement: str
    parameters: dict[str, object] | list[object]

    def __repr__(self) -> str:
        return f"Submission(statement={self.statement!r})"  # parameters show number and text


def submission(
    message: OutboundMessage,
    *,
    account: str = "default",
    style: Style = "named",
    **terms: Unpack[Terms],
) -> Submission:
    """
    Return the statement that submits a message in a transaction of your own.

    If you commit, the message is admitted. If you roll back, it never was. A queue's gate is asked
    about it only before it leaves.

    Args:
        message: what to send. Give it a reference of your own, so that a transaction that is tried
            again submits one message only.
        account: as for `PostgresOutbox`.
        style: how the parameters are written: "named" (:text) for SQLAlchemy's `text`, "pyformat"
            (%(text)s) for psycopg and Django, "numeric" ($1, $2) for asyncpg.
        **terms: as `SendQueue.submit`.

    Raises:
        InvalidMessage: as `SendQueue.submit`, or PostgreSQL cannot store the text or reference.
    """
    entry = as_entry(message, **terms)
    check_storable(entry)
    values: dict[str, object] = {
        "account": account,
        "reference": message.reference,
        "recipient": message.to,
        "text": message.text,
        "priority": int(entry.priority),
        "not_before": terms.get("not_before"),
        "expires_at": terms.get("expires_at"),
        "on_unknown": entry.on_unknown,
        "sender_name": message.sender_name,
        "sender_address": message.sender_address,
        "on_net": message.on_net,
        "context": entry.context,
    }
    # A driver may send a str or None without a type. The casts name the types that are needed.
    written = ", ".join(
        f"{name} => CAST({_placeholder(style, name, n)} AS {type_})"
        for n, (name, type_) in enumerate(_TYPES.items(), start=1)
    )
    parameters = list(values.values()) if style == "numeric" else values
    return Submission(f"SELECT orange_sms.submit({written})", parameters)


def _placeholder(style: Style, name: str, n: int) -> str:
    return {"named": f":{name}", "pyformat": f"%({name})s", "numeric": f"${n}"}[style]


def check_storable(entry: Entry) -> None:
    """
    Refuse what PostgreSQL cannot store.

    Raises:
        InvalidMessage: names the field.
    """
    message = entry.message
    for name, value in (("text", message.text), ("reference", message.reference)):
        if "\0" in value:
            raise InvalidMessage(f"{name}: contains a NUL character, which PostgreSQL cannot store")
    if len(message.reference.encode()) > _LONGEST:
        raise InvalidMessage(f"reference: at most {_LONGEST} bytes where an outbox is PostgreSQL")
