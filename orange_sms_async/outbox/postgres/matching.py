"""What receipts say about messages. The caller has begun a READ COMMITTED transaction."""

import json

from orange_sms_async.errors import InvalidMessage
from orange_sms_async.messages import ResourceId
from orange_sms_async.outbox import whose
from orange_sms_async.outbox.postgres import rows
from orange_sms_async.outbox.postgres.connecting import Connection
from orange_sms_async.outbox.postgres.rows import OUTCOME, storable
from orange_sms_async.outbox.whose import Doubtful
from orange_sms_async.outcomes import Outcome, State
from orange_sms_async.receipts import DeliveryReceipt


async def keep(
    db: Connection, account: int, receipt: DeliveryReceipt, now: float
) -> tuple[Outcome, bool] | None:
    """Store a receipt; return its message's outcome, and whether the receipt settled it."""
    resource_id, address = storable(receipt.resource_id), storable(receipt.address)
    number = address.removeprefix("tel:")
    await _look_alone(db, account, number, resource_id)
    await db.execute("SELECT orange_sms.durable()")
    await db.execute(_KEEP, account, resource_id, storable(receipt.status), number, address, now)
    if not resource_id:
        return None
    outcome = await _advanced(db, account, resource_id)
    if outcome is not None:
        return outcome, False
    for reference, ids in (await _owners(db, account, number)).items():
        if ids == {resource_id}:
            return await _settle_as_sent(db, account, reference, resource_id, now), True
    return None


# Without a resource id, receipts of two messages to one number look like duplicates. A number that
# was forgotten stays forgotten.
_KEEP = """
INSERT INTO orange_sms.receipt (account, resource_id, status, number, address, arrived_at)
SELECT $1, $2, $3, CASE WHEN kept THEN $4 END, CASE WHEN kept THEN $5 END, to_timestamp($6)
FROM (SELECT $5 <> '' AND NOT EXISTS (SELECT 1 FROM orange_sms.message
    WHERE account = $1 AND resource_id = $2 AND recipient IS NULL) AS kept) AS whether
WHERE NOT EXISTS (SELECT 1 FROM orange_sms.receipt
    WHERE account = $1 AND resource_id = $2 AND status = $3
    AND resource_id <> '' AND number IS NOT DISTINCT FROM CASE WHEN kept THEN $4 END)
"""


async def adopt(db: Connection, account: int, number: str | None, now: float) -> list[Outcome]:
    """
    Settle unknown messages to a number by earlier receipts, now that it is certain whose they are.

    A receipt may come while its message, or another one, is still on the wire.
    """
    if number is None:
        return []
    await _look_alone(db, account, number, None)
    return [
        await _settle_as_sent(db, account, reference, ids.pop(), now)
        for reference, ids in (await _owners(db, account, number)).items()
        if len(ids) == 1
    ]


async def adopt_for(db: Connection, account: int, reference: str, now: float) -> list[Outcome]:
    """Settle unknown messages to the same number as this one."""
    query = "SELECT recipient FROM orange_sms.message WHERE account = $1 AND reference = $2"
    return await adopt(db, account, await db.fetchval(query, account, reference), now)


async def resolve(
    db: Connection, account: int, reference: str, sent: ResourceId | None, now: float
) -> list[Outcome]:
    """
    Store what a person found out; return the outcome, and those of others that this settled.

    Raises:
        InvalidMessage: the resource id is empty, or another message has it.
    """
    if sent == "":
        raise InvalidMessage("sent: the resource id is empty")
    number = await db.fetchval(
        "SELECT recipient FROM orange_sms.message WHERE account = $1 AND reference = $2",
        account,
        reference,
    )
    await _look_alone(db, account, number, sent)
    if sent is not None and await _owner(db, account, sent) not in (None, reference):
        raise InvalidMessage("sent: another message has this resource id")
    found = await db.fetchrow(_RESOLVE, account, reference, sent, now)
    if found is None:
        return []
    outcome = rows.outcome(found)
    if sent is not None:
        outcome = await _advanced(db, account, sent) or outcome
    # A receipt that might have belonged to this message now certainly belongs to another.
    return [outcome, *await adopt(db, account, number, now)]


# A message sent twice and accepted under this id may have a second one.
_RESOLVE = f"""
UPDATE orange_sms.message SET state = CASE WHEN $3::text IS NULL THEN 'queued' ELSE 'sent' END,
    resource_id = $3, error = NULL, reason = NULL, details = NULL,
    settled_by = CASE WHEN $3 IS NOT NULL THEN 'person' END,
    finished_at = CASE WHEN $3 IS NOT NULL THEN to_timestamp($4) END,
    denied_at = CASE WHEN $3 IS NULL THEN coalesce(attempted_at, to_timestamp($4))
        ELSE denied_at END,
    on_unknown = CASE WHEN $3 IS NULL AND on_unknown = 'resent' THEN 'report' ELSE on_unknown END
WHERE account = $1 AND reference = $2 AND state = 'unknown'
RETURNING {OUTCOME}, orange_sms.durable()
"""


async def perhaps_of(db: Connection, account: int, reference: str) -> list[DeliveryReceipt]:
    """List unclaimed receipts for an unknown message's number that came within its time."""
    found = await db.fetchrow(
        "SELECT recipient, extract(epoch FROM attempted_at)::float8 AS attempted_at "
        "FROM orange_sms.message WHERE account = $1 AND reference = $2 AND state = 'unknown'",
        account,
        reference,
    )
    if found is None or found["recipient"] is None or found["attempted_at"] is None:
        return []
    message = Doubtful(reference, State.UNKNOWN, found["attempted_at"])
    return [
        rows.receipt(row)
        for row in await _of_nobody(db, account, found["recipient"])
        if message.fits(row["arrived_at"])
    ]


async def _look_alone(
    db: Connection, account: int, number: str | None, resource_id: str | None
) -> None:
    await db.execute(
        "SELECT orange_sms.look_alone($1, $2, $3)", account, [number], [resource_id or None]
    )


async def _owner(db: Connection, account: int, resource_id: str) -> str | None:
    return await db.fetchval(  # type: ignore[no-any-return]
        "SELECT reference FROM orange_sms.message WHERE account = $1 AND resource_id = $2",
        account,
        resource_id,
    )


async def _advanced(db: Connection, account: int, resource_id: str) -> Outcome | None:
    """Move the message with an id as far as its receipts go; return its outcome."""
    references = await db.fetch("SELECT orange_sms.advance($1, $2)", account, resource_id)
    return await find(db, account, references[0][0]) if references else None


async def find(db: Connection, account: int, reference: str) -> Outcome | None:
    row = await db.fetchrow(
        f"SELECT {OUTCOME} FROM orange_sms.message WHERE account = $1 AND reference = $2",
        account,
        reference,
    )
    return None if row is None else rows.outcome(row)


async def _settle_as_sent(
    db: Connection, account: int, reference: str, resource_id: str, now: float
) -> Outcome:
    await db.execute(
        "UPDATE orange_sms.message SET state = 'sent', resource_id = $3, settled_by = 'receipt', "
        "error = NULL, reason = NULL, details = NULL, finished_at = to_timestamp($4) "
        "WHERE account = $1 AND reference = $2",
        account,
        reference,
        resource_id,
        now,
    )
    outcome = await _advanced(db, account, resource_id)
    if outcome is None:
        raise LookupError("its receipt is gone")
    return outcome


_DOUBTFUL = """
SELECT reference, state, on_unknown, details, extract(epoch FROM attempted_at)::float8 AS attempted,
    extract(epoch FROM denied_at)::float8 AS denied
FROM orange_sms.message WHERE account = $1 AND recipient = $2
AND (state IN ('unknown', 'sending') OR on_unknown = 'resent' OR denied_at IS NOT NULL)
"""
_OF_NOBODY = """
SELECT resource_id, status, address, extract(epoch FROM arrived_at)::float8 AS arrived_at
FROM orange_sms.receipt r WHERE account = $1 AND number = $2 AND resource_id <> ''
AND NOT EXISTS (SELECT 1 FROM orange_sms.message m
    WHERE m.account = $1 AND m.resource_id = r.resource_id) ORDER BY id
"""


async def _of_nobody(db: Connection, account: int, number: str) -> list[rows.Row]:
    return list(await db.fetch(_OF_NOBODY, account, number))


async def _owners(db: Connection, account: int, number: str) -> dict[str, set[str]]:
    """Match unclaimed resource ids to unknown messages to a number, where that is certain."""
    messages = [_doubtful(row) for row in await db.fetch(_DOUBTFUL, account, number)]
    if all(message.state is not State.UNKNOWN for message in messages):
        return {}
    heard = [
        (row["resource_id"], row["arrived_at"]) for row in await _of_nobody(db, account, number)
    ]
    return whose.owners(messages, whose.first_heard(heard))


def _doubtful(row: rows.Row) -> Doubtful:
    accepted = bool(json.loads(row["details"] or "{}").get("accepted"))
    twice = row["on_unknown"] == "resent"
    return Doubtful(
        row["reference"], State(row["state"]), row["attempted"], twice, accepted, row["denied"]
    )
