"""Operations on the outbox's rows, each in one round trip or in the caller's transaction."""

from collections import Counter
from collections.abc import Sequence

import attrs

from orange_sms_async.errors import InvalidMessage
from orange_sms_async.outbox import Claim, Entry, KeptMessage
from orange_sms_async.outbox.postgres import matching, rows
from orange_sms_async.outbox.postgres.connecting import Connection
from orange_sms_async.outbox.postgres.rows import (
    ENTRY,
    OUTCOME,
    SECONDS,
    Row,
    storable,
)
from orange_sms_async.outbox.summary import QUERY, DeliveryCount, silent_since, summary
from orange_sms_async.outcomes import Outcome, Priority, State
from orange_sms_async.receipts import FINAL, REPORTED_WITHIN

_COLUMNS = ", ".join(ENTRY)
_VALUES = ", ".join(
    f"to_timestamp({name})" if name in {"not_before", "expires_at"} else name for name in ENTRY
)
_ARRAYS = ", ".join(f"${n}::{type_}[]" for n, type_ in enumerate(ENTRY.values(), start=2))
_ADD = f"""
INSERT INTO orange_sms.message (account, {_COLUMNS})
SELECT $1, {_VALUES} FROM unnest({_ARRAYS}) WITH ORDINALITY AS added ({_COLUMNS}, ordinal)
ORDER BY ordinal ON CONFLICT DO NOTHING RETURNING reference, orange_sms.durable()
"""
_KEPT = f"""
SELECT {OUTCOME}, orange_sms.is_same(m, number, words) AS same
FROM unnest($2::text[], $3::text[], $4::text[]) AS asked (asked_for, number, words)
JOIN orange_sms.message m ON m.account = $1 AND m.reference = asked_for
"""
Settled = tuple[str | None, list[Outcome], bool]
_TAKEN = "reference: already used, with another number or text"


@attrs.frozen
class Turn:
    """
    The terms of a turn.

    Attributes:
        account: the outbox's account.
        me: one opening of the outbox.
        fence: seconds after a claim within which its message may leave.
        lease: seconds without news after which a claim belongs to a dead process.
        patience: seconds that a turn is kept without a claim while something waits.
        guard: the pacer's guard.
    """

    account: int
    me: str
    fence: float
    lease: float
    patience: float
    guard: float | None


async def add(
    db: Connection, account: int, entries: list[Entry], *, repeated: bool
) -> list[Outcome | Exception | None]:
    """Store messages; for each one stored before, return its outcome, or an error if it differs."""
    columns = zip(*map(rows.entry_columns, entries), strict=True)
    added = {row["reference"] for row in await db.fetch(_ADD, account, *map(list, columns))}
    results: list[Outcome | Exception | None] = [None] * len(entries)
    known = {}
    for n, entry in enumerate(entries):
        if entry.message.reference in added:
            added.discard(entry.message.reference)
        else:
            known[n] = entry.message
    if known:
        found = await db.fetch(
            _KEPT,
            account,
            [message.reference for message in known.values()],
            [message.to for message in known.values()],
            [message.text for message in known.values()],
        )
        results_of = {row["reference"]: row for row in found}
        for n, message in known.items():
            results[n] = _known(results_of.get(message.reference), repeated)
    return results


def _known(row: Row | None, repeated: bool) -> Outcome | Exception | None:
    if row is None or not row["same"]:
        return InvalidMessage(_TAKEN)
    outcome = rows.outcome(row)
    # It may be this very message, whose answer was lost.
    return None if repeated and outcome.state.waits else outcome


async def settle(
    db: Connection, account: int, said: list[tuple[Claim, Outcome, float]], *, repeated: bool
) -> list[Settled]:
    """Store outcomes; return each state before, the outcome, and whether to look at receipts."""
    now = max(at for _, _, at in said)
    columns = [_settled_columns(claim, outcome) for claim, outcome, _ in said]
    found = {
        row["reference"]: row
        for row in await db.fetch(
            "SELECT * FROM orange_sms.settle($1, to_timestamp($2), $3, $4, $5, $6, $7, $8, $9, "
            "$10, $11)",
            account,
            now,
            repeated,
            *map(list, zip(*columns, strict=True)),
        )
    }
    return [_settled(outcome, claim, found.get(outcome.reference)) for claim, outcome, _ in said]


def _settled_columns(claim: Claim, outcome: Outcome) -> tuple[object, ...]:
    resource_id = outcome.resource_id and storable(outcome.resource_id)
    at = outcome.reference, claim.owner, claim.attempt, outcome.state, resource_id
    return *at, *rows.error_columns(outcome.error)


def _settled(outcome: Outcome, claim: Claim, row: Row | None) -> Settled:
    if row is None:
        return None, [], False
    if row["delivery"] is not None:
        delivery = rows.receipt(
            {
                "resource_id": outcome.resource_id,
                "status": row["delivery"],
                "address": f"tel:{claim.message.to}",
            }
        )
        outcome = attrs.evolve(outcome, delivery=delivery)
    return row["was"], [outcome], row["look"]


_PUT_BACK = """
UPDATE orange_sms.message SET lease_until = NULL,
    state = CASE WHEN $7 > 0 THEN 'scheduled' ELSE 'queued' END,
    not_before = CASE WHEN $7 > 0 THEN to_timestamp($7) ELSE not_before END,
    on_unknown = CASE WHEN $5 THEN 'resent' ELSE $6 END
WHERE account = $1 AND reference = $2 AND claimed_by::text = $3 AND attempt = $4
AND state = 'sending' RETURNING orange_sms.durable()
"""


async def put_back(
    db: Connection, account: int, claim: Claim, *, again: bool, not_before: float
) -> bool:
    """Put a claimed message back; return whether the claim still held."""
    done = await db.fetch(
        _PUT_BACK,
        account,
        claim.reference,
        claim.owner,
        claim.attempt,
        again,
        claim.entry.on_unknown,
        not_before,
    )
    return bool(done)


async def disown(db: Connection, turn: Turn, known: list[int]) -> None:
    """Put back what this opening claimed without learning of it: the connection was lost."""
    await db.execute(
        "UPDATE orange_sms.message SET state = 'queued', lease_until = NULL WHERE account = $1 "
        "AND state = 'sending' AND claimed_by = $2 AND id <> ALL ($3)",
        turn.account,
        turn.me,
        known,
    )


async def renew(db: Connection, ids: list[int], me: str, lease: float) -> None:
    """Renew the leases of messages that still wait for an answer."""
    await db.execute(
        "UPDATE orange_sms.message SET lease_until = clock_timestamp() + make_interval(secs => $3) "
        "WHERE id = ANY ($1) AND state = 'sending' AND claimed_by = $2",
        ids,
        me,
        lease,
    )


_WITHDRAW = """
UPDATE orange_sms.message SET state = $3, error = $4, reason = $5, details = $6,
    finished_at = to_timestamp($7)
WHERE account = $1 AND reference = $2 AND state IN ('queued', 'scheduled')
AND on_unknown <> 'resent' RETURNING priority, orange_sms.durable()
"""


async def withdraw(
    db: Connection, account: int, outcome: Outcome, now: float, *, repeated: bool
) -> tuple[Priority | None, bool]:
    """Finish a waiting message; return its lane if it waited, and whether it has this outcome."""
    row = await db.fetchrow(
        _WITHDRAW,
        account,
        outcome.reference,
        outcome.state,
        *rows.error_columns(outcome.error),
        now,
    )
    if row is not None:
        return Priority(row["priority"]), True
    kept = await matching.find(db, account, outcome.reference)
    # The previous attempt's answer was lost, and it may have been carried out.
    return None, repeated and kept is not None and kept.state is outcome.state


_TIDY = """
SELECT orange_sms.renew_turn($1, $2, $3, $4, $5) AS had,
    ARRAY(SELECT orange_sms.tidy($1, $2, to_timestamp($6), $7, $8, $9)) AS changed
"""


async def tidy(
    db: Connection, turn: Turn, now: float, known: list[int], reap: bool
) -> tuple[bool, list[str]]:
    """Keep the turn; return whether this opening still has it, and what was settled or put back."""
    (row,) = await db.fetch(
        _TIDY,
        turn.account,
        turn.me,
        turn.fence,
        turn.patience,
        turn.guard,
        now,
        reap,
        known,
        turn.lease,
    )
    return row["had"], row["changed"]


async def renew_turn(db: Connection, turn: Turn) -> bool:
    """Keep the turn while there is something to do; return whether this opening still has it."""
    return await db.fetchval(  # type: ignore[no-any-return]
        "SELECT orange_sms.renew_turn($1, $2, $3, $4, $5)",
        turn.account,
        turn.me,
        turn.fence,
        turn.patience,
        turn.guard,
    )


async def claim(db: Connection, turn: Turn, now: float, most: int, floor: list[int]) -> list[Row]:
    """Claim messages; the last row says how that went."""
    return list(
        await db.fetch(
            "SELECT * FROM orange_sms.claim($1, $2, to_timestamp($3), $4, $5, $6, $7, $8)",
            turn.account,
            turn.me,
            now,
            most,
            turn.fence,
            turn.lease,
            turn.guard,
            floor,
        )
    )


async def heads(db: Connection, account: int) -> dict[int, int]:
    """Return the first waiting id of each lane that is not empty."""
    found = await db.fetch(
        "SELECT lane, first.id FROM generate_series(0, 2) lane, LATERAL ("
        "SELECT id FROM orange_sms.message WHERE account = $1 AND state = 'queued' "
        "AND priority = lane ORDER BY id LIMIT 1) first",
        account,
    )
    return {row["lane"]: row["id"] for row in found}


async def find_all(db: Connection, account: int, references: Sequence[str]) -> list[Outcome]:
    found = await db.fetch(
        f"SELECT {OUTCOME} FROM orange_sms.message WHERE account = $1 AND reference = ANY ($2)",
        account,
        references,
    )
    return [rows.outcome(row) for row in found]


async def page(
    db: Connection, account: int, state: State | None, after: int
) -> list[tuple[int, KeptMessage]]:
    """Return up to 500 messages after an id, each with its own id."""
    found = await db.fetch(
        f"SELECT {OUTCOME}, {SECONDS.format('attempted_at')}, {SECONDS.format('finished_at')} "
        "FROM orange_sms.message WHERE account = $1 AND id > $3 "
        "AND ($2::text IS NULL OR state = $2) ORDER BY id LIMIT 500",
        account,
        state,
        after,
    )
    return [(row["id"], rows.kept_message(row)) for row in found]


async def count_unfinished(db: Connection, account: int) -> tuple[Counter[Priority], int]:
    found = await db.fetch(
        "SELECT priority, count(*) AS many FROM orange_sms.message "
        "WHERE account = $1 AND state = 'queued' GROUP BY priority UNION ALL "
        "SELECT priority, count(*) FROM orange_sms.message "
        "WHERE account = $1 AND state = 'scheduled' GROUP BY priority UNION ALL "
        "SELECT -1, count(*) FROM orange_sms.message WHERE account = $1 AND state = 'sending'",
        account,
    )
    waiting = Counter[Priority]()
    for row in found:
        if row["priority"] >= 0:
            waiting[Priority(row["priority"])] += row["many"]
    return waiting, next(row["many"] for row in found if row["priority"] < 0)


async def oldest(db: Connection, account: int, now: float) -> float | None:
    """Return since when the oldest message could leave; None if none could."""
    at: float | None = await db.fetchval(
        "SELECT extract(epoch FROM min(greatest(submitted_at, not_before)))::float8 "
        "FROM orange_sms.message WHERE account = $1 AND state IN ('queued', 'scheduled') "
        "AND not_before <= to_timestamp($2)",
        account,
        now,
    )
    return at


async def counts(db: Connection, account: int) -> Counter[State]:
    found = await db.fetch(
        "SELECT state, count(*) FROM orange_sms.message WHERE account = $1 GROUP BY state", account
    )
    return Counter({State(state): many for state, many in found})


async def deliveries(db: Connection, account: int) -> Counter[str]:
    found = await db.fetch(
        "SELECT delivery, count(*) FROM orange_sms.message "
        "WHERE account = $1 AND delivery IS NOT NULL GROUP BY delivery",
        account,
    )
    return Counter({row["delivery"]: row["count"] for row in found})


_SUMMARY = QUERY.format(
    message="orange_sms.message",
    seconds="CAST(extract(epoch FROM delivered_at - attempted_at) AS bigint)",
    silent="to_timestamp($2)",
    since="to_timestamp($3) AND account = $1",
)


async def delivery(db: Connection, account: int, since: float, now: float) -> list[DeliveryCount]:
    """Sum up the receipts of messages accepted since a time."""
    found = await db.fetch(_SUMMARY, account, silent_since(now), since)
    return summary((row["key"], row["messages"]) for row in found)


async def awaited(db: Connection, account: int, now: float) -> int:
    return await db.fetchval(  # type: ignore[no-any-return]
        "SELECT count(*) FROM orange_sms.message WHERE account = $1 "
        "AND finished_at > to_timestamp($2) AND state IN ('sent', 'unknown') "
        "AND (delivery IS NULL OR delivery <> ALL ($3))",
        account,
        now - REPORTED_WITHIN,
        [str(status) for status in FINAL],
    )


async def key(db: Connection, account: int) -> bytes:
    query = "SELECT key FROM orange_sms.account WHERE id = $1"
    return await db.fetchval(query, account)  # type: ignore[no-any-return]
