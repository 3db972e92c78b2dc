"""The SQL on the rows of a durable outbox. The caller has begun a transaction."""

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import Any

from orange_sms_async import errors
from orange_sms_async.errors import InvalidMessage, MessageExpired, OrangeSMSError, OutcomeUnknown
from orange_sms_async.messages import OutboundMessage, ResourceId, kept
from orange_sms_async.outbox import Claim, Entry, KeptMessage
from orange_sms_async.outbox.sqlite.damage import MISFIT, DamagedError
from orange_sms_async.outbox.sqlite.received import SURE_AFTER, storable
from orange_sms_async.outcomes import OnUnknown, Outcome, Priority, State
from orange_sms_async.receipts import REPORTED_WITHIN, DeliveryReceipt

_OUTCOME = (
    "id, reference, state, resource_id, error, reason, details, settled_by, delivery, recipient"
)
# If a receipt for the number may belong to either of two messages, both must be kept.
_IN_DOUBT = " OR ".join(
    "EXISTS (SELECT 1 FROM message AS other WHERE other.recipient = message.recipient "
    f"AND message.attempted_at <= other.attempted_at + {REPORTED_WITHIN} "
    f"AND message.finished_at >= other.attempted_at - {REPORTED_WITHIN} AND {which})"
    for which in (
        "other.state = 'unknown'",
        "other.state = 'sending'",
        "other.state = 'queued' AND other.on_unknown = 'resent'",
    )
)
_EXPIRED = MessageExpired("its time ran out before it could be sent")
CUT = OutcomeUnknown("the process ended while this was on the wire")
_OLDER = OutcomeUnknown("its outbox was restored from an older state: it may have been sent since")
_LATE = "state IN ('queued', 'scheduled') AND expires_at < 9e999 AND expires_at <= :now"


def anything_left(db: sqlite3.Connection, owner: str, now: float) -> bool:
    """Tell whether something expired, or was left on the wire by the previous sender."""
    left = "SELECT 1 FROM message WHERE state = 'sending' AND claimed_by IS NOT ? LIMIT 1"
    late = f"SELECT 1 FROM message WHERE {_LATE} LIMIT 1"
    return bool(db.execute(left, (owner,)).fetchone() or db.execute(late, {"now": now}).fetchone())


def recover(db: sqlite3.Connection, owner: str, now: float) -> list[Outcome]:
    """Settle what the previous sender left on the wire, and what expired since."""
    left = f"state = 'sending' AND claimed_by IS NOT '{owner}'"
    db.execute(
        "UPDATE message SET state = 'queued', on_unknown = 'resent' "
        f"WHERE {left} AND on_unknown = 'resend'"
    )
    return (
        _finish_all(db, left, State.UNKNOWN, CUT, now)
        + _finish_all(db, f"{_LATE} AND on_unknown = 'resent'", State.UNKNOWN, CUT, now)
        + _finish_all(db, _LATE, State.EXPIRED, _EXPIRED, now)
    )


def doubt_all(db: sqlite3.Connection, now: float) -> list[Outcome]:
    """Mark as unknown what waits in a file that is older than what was sent from it."""
    waits = "state IN ('queued', 'sending') OR (state = 'scheduled' AND not_before <= :now)"
    return _finish_all(db, waits, State.UNKNOWN, _OLDER, now)


def _finish_all(
    db: sqlite3.Connection, which: str, state: State, error: OrangeSMSError, now: float
) -> list[Outcome]:
    rows = db.execute(
        "UPDATE message SET state = :state, error = :error, reason = :reason, "
        f"finished_at = :now WHERE {which} RETURNING reference",
        {"state": state, "error": type(error).__name__, "reason": str(error), "now": now},
    )
    return [Outcome(reference, state, error=error) for (reference,) in rows.fetchall()]


def waiting(db: sqlite3.Connection) -> dict[int, tuple[int, int]]:
    """Return how many messages of each lane wait, and how many are on the wire."""
    rows = db.execute("SELECT priority, waiting, sending FROM lane")
    return {priority: (waiting, sending) for priority, waiting, sending in rows}


def recount(db: sqlite3.Connection) -> None:
    """Count the messages of each lane again: damage may have made the counts wrong."""
    of_lane = "SELECT count(*) FROM message WHERE priority = lane.priority AND state"
    db.execute(
        f"UPDATE lane SET waiting = ({of_lane} IN ('queued', 'scheduled')), "
        f"sending = ({of_lane} = 'sending')"
    )


def admit(db: sqlite3.Connection, entry: Entry, now: float) -> Outcome | None:
    """
    Store a message; return its outcome if its reference is there already.

    Raises:
        InvalidMessage: it is stored with another number or text.
    """
    message = entry.message
    added = db.execute(
        "INSERT OR IGNORE INTO message (reference, state, priority, not_before, expires_at, "
        "on_unknown, recipient, text, sender_name, sender_address, on_net, context, created_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            message.reference,
            State.SCHEDULED if entry.not_before else State.QUEUED,
            entry.priority,
            entry.not_before,
            entry.expires_at,
            entry.on_unknown,
            message.to,
            message.text,
            message.sender_name,
            message.sender_address,
            message.on_net,
            entry.context,
            now,
        ),
    )
    return None if added.rowcount else _kept(db, message)


def _kept(db: sqlite3.Connection, message: OutboundMessage) -> Outcome:
    query = f"SELECT text, fingerprint, {_OUTCOME} FROM message WHERE reference = ?"
    text, fingerprint, *outcome = db.execute(query, (message.reference,)).fetchone()
    if fingerprint is None:
        same = (outcome[-1], text) == (message.to, message.text)
    else:
        same = fingerprint == _fingerprint(key(db), message.to, message.text)
    if not same:
        raise InvalidMessage("reference: already used, with another number or text")
    return _outcome(outcome)[1]


def oldest(db: sqlite3.Connection, now: float) -> float | None:
    """Return since when the oldest message could leave; None if none could, or not recorded."""
    query = (
        "SELECT min(max(created_at, not_before)) FROM message "
        "WHERE state IN ('queued', 'scheduled') AND not_before <= ?"
    )
    return db.execute(query, (now,)).fetchone()[0]  # type: ignore[no-any-return]


def ready_at(db: sqlite3.Connection) -> float | None:
    if db.execute("SELECT 1 FROM message WHERE state = 'queued' LIMIT 1").fetchone():
        return 0.0
    query = "SELECT min(not_before) FROM message WHERE state = 'scheduled'"
    return db.execute(query).fetchone()[0]  # type: ignore[no-any-return]


def claim(db: sqlite3.Connection, owner: str, now: float) -> Claim | None:
    db.execute(
        "UPDATE message SET state = 'queued' WHERE state = 'scheduled' AND not_before <= ?", (now,)
    )
    ready = db.execute(
        "SELECT id FROM message WHERE state = 'queued' ORDER BY priority, id LIMIT 1"
    ).fetchone()
    if ready is None:
        return None
    # An index gave the id; the row itself says whether that is right. For a message sent again, the
    # first receipt that may be its own came after the first attempt.
    row = db.execute(
        "UPDATE message NOT INDEXED SET state = 'sending', claimed_by = ?, attempt = attempt + 1, "
        "attempted_at = iif(on_unknown = 'resent', attempted_at, ?) "
        "WHERE id = ? AND state = 'queued' AND finished_at IS NULL "
        "RETURNING attempt, priority, not_before, expires_at, on_unknown, recipient, text, "
        "sender_name, sender_address, on_net, reference, context",
        (owner, now, *ready),
    ).fetchone()
    if row is None:
        raise DamagedError(MISFIT)
    attempt, *terms, on_unknown, to, text, name, address, on_net, reference, context = row
    message = kept(
        to,
        text,
        sender_name=name,
        sender_address=address,
        on_net=bool(on_net),
        reference=reference,
    )
    again = on_unknown == "resent"
    wanted: OnUnknown = "report" if on_unknown == "report" else "resend"
    priority, not_before, expires_at = terms
    entry = Entry(message, Priority(priority), not_before, expires_at, wanted, context)
    return Claim(entry, owner, attempt, again)


def put_back(db: sqlite3.Connection, claim: Claim, again: bool, not_before: float = 0.0) -> None:
    """Put a claimed message back, if the claim still holds."""
    db.execute(
        "UPDATE message SET state = iif(?1 > 0, 'scheduled', 'queued'), "
        "not_before = iif(?1 > 0, ?1, not_before), on_unknown = ?2 "
        "WHERE reference = ?3 AND claimed_by = ?4 AND attempt = ?5 AND state = 'sending'",
        (
            not_before,
            "resent" if again else claim.entry.on_unknown,
            claim.reference,
            claim.owner,
            claim.attempt,
        ),
    )


def held_in(db: sqlite3.Connection, claim: Claim) -> State | None:
    """Return the state of a message, unless it was claimed again after this claim."""
    query = "SELECT state FROM message WHERE reference = ? AND claimed_by = ? AND attempt = ?"
    row = db.execute(query, (claim.reference, claim.owner, claim.attempt)).fetchone()
    return None if row is None else State(row[0])


def settle(db: sqlite3.Connection, outcome: Outcome, now: float) -> None:
    error = outcome.error
    done = db.execute(
        "UPDATE message SET state = ?, resource_id = ?, error = ?, reason = ?, details = ?, "
        "finished_at = ?, settled_by = NULL WHERE reference = ?",
        (
            outcome.state,
            outcome.resource_id and storable(outcome.resource_id),
            error and _known_name(type(error)),
            error and storable(str(error)),
            error and _details(error),
            now,
            outcome.reference,
        ),
    )
    if done.rowcount != 1:
        raise DamagedError(MISFIT)


def _details(error: OrangeSMSError) -> str:
    # Only what our own classes carry: a custom class may carry what must not be stored.
    ours = ("status_code", "code", "request_id", "reason", "accepted", "rule")
    details = {name: getattr(error, name) for name in ours if name in vars(error)}
    return json.dumps(details, default=str)


def _known_name(class_: type[OrangeSMSError]) -> str:
    # A custom client may raise its own class, which is unknown to whoever opens this file.
    return next(base.__name__ for base in class_.__mro__ if base.__module__ == errors.__name__)


def forget_old(db: sqlite3.Connection, now: float, retention: float) -> None:
    seen = db.execute(
        "SELECT finished_at FROM message WHERE finished_at <= ? ORDER BY finished_at DESC LIMIT 1",
        (now - SURE_AFTER,),
    ).fetchone()
    if seen is None:
        return
    # A few with each outcome: enough to keep up, and too few to delay a campaign.
    db.execute(
        "DELETE FROM message WHERE id IN (SELECT id FROM message "
        f"WHERE finished_at < ? AND state <> 'unknown' AND NOT ({_IN_DOUBT}) LIMIT 10)",
        (seen[0] - retention,),
    )


def withdraw(db: sqlite3.Connection, outcome: Outcome, now: float) -> bool:
    waits = db.execute(
        "SELECT 1 FROM message WHERE reference = ? AND state IN ('queued', 'scheduled') "
        "AND on_unknown <> 'resent'",
        (outcome.reference,),
    ).fetchone()
    if waits:
        settle(db, outcome, now)
    return waits is not None


def resolve(db: sqlite3.Connection, reference: str, sent: ResourceId | None, now: float) -> bool:
    state, by, finished = (
        (State.QUEUED, None, None) if sent is None else (State.SENT, "person", now)
    )
    # A message sent twice and accepted under this id may have a second one.
    resolved = db.execute(
        "UPDATE message SET state = :state, resource_id = :sent, error = NULL, reason = NULL, "
        "details = NULL, settled_by = :by, finished_at = :finished, "
        "denied_at = iif(:sent IS NULL, coalesce(attempted_at, :now), denied_at), "
        "on_unknown = iif(on_unknown = 'resent' AND :sent IS NULL, 'report', on_unknown) "
        "WHERE reference = :reference AND state = 'unknown'",
        {
            "state": state,
            "sent": sent,
            "by": by,
            "finished": finished,
            "reference": reference,
            "now": now,
        },
    )
    return resolved.rowcount > 0


def find(db: sqlite3.Connection, reference: str) -> Outcome | None:
    query = f"SELECT {_OUTCOME} FROM message WHERE reference = ?"
    row = db.execute(query, (reference,)).fetchone()
    return None if row is None else _outcome(row)[1]


def advance(db: sqlite3.Connection, resource_id: str, status: str) -> Outcome | None:
    """Store how far the message with an id has come; return its outcome, or None without one."""
    updated = db.execute(
        "UPDATE message SET delivery = :status, delivered_at = (SELECT min(arrived_at) "
        "FROM receipt WHERE receipt.resource_id = :id AND status = 'DeliveredToTerminal') "
        f"WHERE resource_id = :id RETURNING {_OUTCOME}",
        {"status": status, "id": resource_id},
    ).fetchall()
    return _outcome(updated[0])[1] if updated else None


def latest_change(db: sqlite3.Connection) -> int:
    return db.execute("SELECT max(id) FROM change").fetchone()[0]  # type: ignore[no-any-return]


def changes(db: sqlite3.Connection, after: int) -> tuple[int, list[str] | None]:
    """Return the last change and the messages changed; None if some of that is forgotten."""
    rows = db.execute("SELECT id, reference FROM change WHERE id > ? ORDER BY id", (after,))
    found = rows.fetchall()
    if not found:
        return after, []
    return found[-1][0], [name for _, name in found] if found[0][0] == after + 1 else None


def page(db: sqlite3.Connection, state: State | None, after: int) -> list[tuple[int, Outcome]]:
    which = "" if state is None else f"state = '{state}' AND "
    rows = db.execute(
        f"SELECT {_OUTCOME} FROM message WHERE {which} id > ? ORDER BY id LIMIT 500", (after,)
    )
    return [_outcome(row) for row in rows]


def counts(db: sqlite3.Connection) -> Counter[State]:
    rows = db.execute("SELECT state, count(*) FROM message GROUP BY state")
    return Counter({State(state): count for state, count in rows})


def kept_page(
    db: sqlite3.Connection, state: State | None, after: int
) -> list[tuple[int, KeptMessage]]:
    which = "" if state is None else f"state = '{state}' AND "
    rows = db.execute(
        f"SELECT attempted_at, finished_at, {_OUTCOME} FROM message "
        f"WHERE {which} id > ? ORDER BY id LIMIT 500",
        (after,),
    )
    return [
        (outcome[0], KeptMessage(_outcome(outcome)[1], outcome[-1], attempted_at, finished_at))
        for attempted_at, finished_at, *outcome in rows
    ]


def _outcome(row: Sequence[Any]) -> tuple[int, Outcome]:
    id_, reference, state, resource_id, name, reason, details, settled_by, status, to = row
    error: OrangeSMSError | None = None
    if name is not None:
        error = getattr(errors, name)(reason)
        vars(error).update(json.loads(details or "{}"))
    delivery = None
    if status is not None:
        address = f"tel:{to}" if to else ""
        delivery = DeliveryReceipt(resource_id=resource_id, status=status, address=address)
    return id_, Outcome(reference, State(state), resource_id, error, settled_by, delivery)


def forget_content(db: sqlite3.Connection, now: float) -> int:
    secret = key(db)
    db.create_function("fingerprint", 2, lambda to, text: _fingerprint(secret, to, text))
    forgotten = db.execute(
        "UPDATE message SET fingerprint = fingerprint(recipient, text), "
        "recipient = NULL, text = NULL, sender_name = NULL "
        "WHERE finished_at IS NOT NULL AND state <> 'unknown' AND fingerprint IS NULL "
        # Sent twice: the receipt of either may still come, and would be taken for another's.
        f"AND NOT ((on_unknown = 'resent' OR denied_at IS NOT NULL) "
        f"AND (finished_at > ? OR coalesce(denied_at, 0) > ? OR {_IN_DOUBT}))",
        (now - REPORTED_WITHIN, now - REPORTED_WITHIN),
    )
    db.execute(
        "UPDATE receipt SET address = NULL WHERE address IS NOT NULL AND (address NOT IN "
        "(SELECT 'tel:' || recipient FROM message WHERE recipient IS NOT NULL "
        "UNION SELECT recipient FROM message WHERE recipient IS NOT NULL) "
        "OR resource_id IN (SELECT resource_id FROM message WHERE recipient IS NULL))"
    )
    return forgotten.rowcount


def key(db: sqlite3.Connection) -> bytes:
    return db.execute("SELECT key FROM secret").fetchone()[0]  # type: ignore[no-any-return]


def _fingerprint(key: bytes, to: str, text: str) -> bytes:
    return hashlib.blake2b(f"{to}\n{text}".encode(), key=key, digest_size=16).digest()
