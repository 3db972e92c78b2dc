"""What receipts say about messages. The caller has begun a transaction."""

import json
import sqlite3
from collections import Counter
from typing import Any

import attrs

from orange_sms_async.errors import InvalidMessage
from orange_sms_async.messages import ResourceId
from orange_sms_async.outbox import Claim, whose
from orange_sms_async.outbox.sqlite import received, statements
from orange_sms_async.outbox.sqlite.received import storable
from orange_sms_async.outbox.summary import QUERY, DeliveryCount, silent_since, summary
from orange_sms_async.outbox.whose import Doubtful
from orange_sms_async.outcomes import Outcome, State
from orange_sms_async.receipts import FINAL, REPORTED_WITHIN, DeliveryReceipt


def keep(
    db: sqlite3.Connection, receipt: DeliveryReceipt, arrived_at: float
) -> tuple[Outcome, bool] | None:
    """Store a receipt; return its message's outcome, and whether the receipt settled it."""
    resource_id = storable(receipt.resource_id)
    if _forgotten(db, resource_id):
        receipt = attrs.evolve(receipt, address="")
    received.add(db, receipt, arrived_at)
    if not resource_id:
        return None
    outcome = _advanced(db, resource_id)
    settles = outcome is None
    if outcome is None:
        owners = _owners(db, storable(receipt.address).removeprefix("tel:"))
        candidate = next(
            (reference for reference in owners if owners[reference] == {resource_id}), None
        )
        if candidate is None:
            return None
        _settle_as_sent(db, candidate, resource_id, arrived_at)
        outcome = _advanced(db, resource_id)
    return None if outcome is None else (outcome, settles)


def settle_claimed(
    db: sqlite3.Connection, claim: Claim, outcome: Outcome, now: float
) -> list[Outcome]:
    """
    Store the outcome of a claimed message, unless it is stored already.

    Returns:
        The outcome as stored, and those of other messages that this settled; otherwise nothing.
    """
    before = statements.held_in(db, claim)
    really = outcome.state is State.SENT or (
        outcome.state is State.FAILED and before is State.UNKNOWN
    )
    # Another process thought the sender dead and put the message back or called it unknown. The
    # answer counts.
    late = before in (State.UNKNOWN, State.QUEUED) and really
    return settle(db, outcome, now) if before is State.SENDING or late else []


def settle(db: sqlite3.Connection, outcome: Outcome, now: float) -> list[Outcome]:
    """Store the outcome of a message; return it, and the other outcomes that this settled."""
    statements.settle(db, outcome, now)
    if outcome.resource_id is not None:
        advanced = _advanced(db, storable(outcome.resource_id))
        outcome = attrs.evolve(outcome, delivery=advanced.delivery if advanced else None)
    settled = {changed.reference: changed for changed in _adopt(db, _number(db, outcome), now)}
    return [settled.pop(outcome.reference, outcome), *settled.values()]


def recover(db: sqlite3.Connection, owner: str, now: float) -> list[Outcome]:
    """Settle what was left on the wire. A receipt may replace the answer that never came."""
    recovered = {outcome.reference: outcome for outcome in statements.recover(db, owner, now)}
    unknown = [outcome for outcome in recovered.values() if outcome.state is State.UNKNOWN]
    for number in {_number(db, outcome) for outcome in unknown}:
        recovered |= {outcome.reference: outcome for outcome in _adopt(db, number, now)}
    return list(recovered.values())


def resolve(
    db: sqlite3.Connection, reference: str, sent: ResourceId | None, now: float
) -> list[Outcome]:
    """
    Store what a person found out; return the outcome, and those of others that this settled.

    Raises:
        InvalidMessage: the resource id is empty, or another message has it.
    """
    if sent == "":
        raise InvalidMessage("sent: the resource id is empty")
    if sent is not None and _owner(db, sent) not in (None, reference):
        raise InvalidMessage("sent: another message has this resource id")
    if not statements.resolve(db, reference, sent, now):
        return []
    outcome = Outcome(reference, State.QUEUED)
    if sent is not None:
        outcome = Outcome(reference, State.SENT, sent, settled_by="person")
        outcome = _advanced(db, sent) or outcome
    # A receipt that might have belonged to this message now certainly belongs to another.
    return [outcome, *_adopt(db, _number(db, outcome), now)]


def counts(db: sqlite3.Connection) -> Counter[str]:
    """Count the messages by their furthest receipt."""
    found = db.execute(
        "SELECT delivery, count(*) FROM message WHERE delivery IS NOT NULL GROUP BY delivery"
    )
    return Counter(dict(found.fetchall()))


_SUMMARY = QUERY.format(
    message="message",
    seconds="CAST(delivered_at - attempted_at AS INTEGER)",
    silent=":silent",
    since=":since",
)


def delivery(db: sqlite3.Connection, since: float, now: float) -> list[DeliveryCount]:
    """Sum up the receipts of messages accepted since a time."""
    return summary(db.execute(_SUMMARY, {"silent": silent_since(now), "since": since}))


def awaited(db: sqlite3.Connection, now: float) -> int:
    """Count the messages whose final receipt may still come."""
    query = (
        "SELECT count(*) FROM message WHERE finished_at > ? AND state IN ('sent', 'unknown') "
        f"AND (delivery IS NULL OR delivery NOT IN {tuple(map(str, FINAL))})"
    )
    return db.execute(query, (now - REPORTED_WITHIN,)).fetchone()[0]  # type: ignore[no-any-return]


def perhaps_of(db: sqlite3.Connection, reference: str) -> list[DeliveryReceipt]:
    """List unclaimed receipts for an unknown message's number that came within its time."""
    query = "SELECT recipient, attempted_at FROM message WHERE reference = ? AND state = 'unknown'"
    number, attempted_at = db.execute(query, (reference,)).fetchone() or (None, None)
    if number is None or attempted_at is None:
        return []
    return [
        receipt
        for receipt, arrived_at in received.of_nobody(db, number)
        if attempted_at <= arrived_at <= attempted_at + REPORTED_WITHIN
    ]


def _owner(db: sqlite3.Connection, resource_id: str) -> str | None:
    query = "SELECT reference FROM message WHERE resource_id = ?"
    row = db.execute(query, (resource_id,)).fetchone()
    return None if row is None else row[0]


def _forgotten(db: sqlite3.Connection, resource_id: str) -> bool:
    query = "SELECT 1 FROM message WHERE resource_id = ? AND recipient IS NULL"
    return db.execute(query, (resource_id,)).fetchone() is not None


def _number(db: sqlite3.Connection, outcome: Outcome) -> str:
    query = "SELECT recipient FROM message WHERE reference = ?"
    return db.execute(query, (outcome.reference,)).fetchone()[0]  # type: ignore[no-any-return]


def _advanced(db: sqlite3.Connection, resource_id: str) -> Outcome | None:
    """Move the message with an id as far as its receipts go, never back; return its outcome."""
    receipt = received.furthest(db, resource_id)
    return None if receipt is None else statements.advance(db, resource_id, receipt.status)


# -- a receipt that is the only answer ----------------------------------------------------------


_OF_NUMBER = (
    "SELECT reference, state, on_unknown, attempted_at, details, denied_at FROM message WHERE "
)
_DOUBTFUL = (
    f"{_OF_NUMBER} recipient = :number AND state = 'unknown' "
    f"UNION {_OF_NUMBER} recipient = :number AND state = 'sending' "
    f"UNION {_OF_NUMBER} recipient = :number AND on_unknown = 'resent' "
    f"UNION {_OF_NUMBER} recipient = :number AND denied_at IS NOT NULL"
)


def _owners(db: sqlite3.Connection, number: str) -> dict[str, set[str]]:
    """Match unclaimed resource ids to unknown messages to a number, where that is certain."""
    messages = [_doubtful(row) for row in db.execute(_DOUBTFUL, {"number": number})]
    if all(message.state is not State.UNKNOWN for message in messages):
        return {}
    heard = [(receipt.resource_id, at) for receipt, at in received.of_nobody(db, number)]
    return whose.owners(messages, whose.first_heard(heard))


def _doubtful(row: tuple[Any, ...]) -> Doubtful:
    reference, state, on_unknown, attempted_at, details, denied_at = row
    accepted = bool(json.loads(details or "{}").get("accepted"))
    twice = on_unknown == "resent"
    return Doubtful(reference, State(state), attempted_at, twice, accepted, denied_at)


def _settle_as_sent(
    db: sqlite3.Connection, reference: str, resource_id: str, arrived_at: float
) -> None:
    db.execute(
        "UPDATE message SET state = 'sent', resource_id = ?, settled_by = 'receipt', "
        "error = NULL, reason = NULL, details = NULL, finished_at = ? WHERE reference = ?",
        (resource_id, arrived_at, reference),
    )


def _adopt(db: sqlite3.Connection, number: str, now: float) -> list[Outcome]:
    """
    Settle unknown messages to a number by earlier receipts, now that it is certain whose they are.

    A receipt may come while its message, or another one, is still on the wire.
    """
    adopted = []
    for reference, resource_ids in _owners(db, number).items():
        if len(resource_ids) == 1:
            (resource_id,) = resource_ids
            _settle_as_sent(db, reference, resource_id, now)
            _advanced(db, resource_id)
            adopted.append(statements.find(db, reference))
    return [outcome for outcome in adopted if outcome is not None]
