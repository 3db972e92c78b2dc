"""Forgets old rows after their retention, and numbers and texts when a person says so."""

from orange_sms_async.outbox.postgres.connecting import Connection
from orange_sms_async.receipts import REPORTED_WITHIN

# If a receipt for the number may belong to either of two messages, both must be kept.
_IN_DOUBT = f"""EXISTS (SELECT 1 FROM orange_sms.message o
    WHERE o.account = m.account AND o.recipient = m.recipient
    AND (o.state IN ('unknown', 'sending') OR o.on_unknown = 'resent' OR o.denied_at IS NOT NULL)
    AND (o.state IN ('unknown', 'sending') OR o.state = 'queued' AND o.on_unknown = 'resent')
    AND m.attempted_at <= o.attempted_at + interval '{REPORTED_WITHIN} s'
    AND m.finished_at >= o.attempted_at - interval '{REPORTED_WITHIN} s')"""
_OLD = f"""
DELETE FROM orange_sms.message WHERE id IN (SELECT id FROM orange_sms.message m
    WHERE account = $1 AND finished_at < to_timestamp($2) AND state <> 'unknown'
    AND NOT ({_IN_DOUBT}) ORDER BY finished_at LIMIT 5000)
"""
_OLD_RECEIPTS = """
DELETE FROM orange_sms.receipt WHERE id IN (SELECT id FROM orange_sms.receipt
    WHERE account = $1 AND arrived_at < to_timestamp($2) ORDER BY arrived_at LIMIT 5000)
"""
# Sent twice: the receipt of either may still come, and would be taken for another's.
_CONTENT = f"""
UPDATE orange_sms.message m SET
    fingerprint = orange_sms.fingerprint(a.key, m.recipient, m.text),
    recipient = NULL, text = NULL, sender_name = NULL
FROM orange_sms.account a WHERE a.id = $1 AND m.account = $1
AND m.finished_at IS NOT NULL AND m.state <> 'unknown' AND m.fingerprint IS NULL
AND NOT ((m.on_unknown = 'resent' OR m.denied_at IS NOT NULL)
    AND (m.finished_at > to_timestamp($2) OR coalesce(m.denied_at > to_timestamp($2), false)
    OR {_IN_DOUBT}))
"""
_ADDRESSES = """
UPDATE orange_sms.receipt r SET address = NULL, number = NULL
WHERE account = $1 AND number IS NOT NULL AND (NOT EXISTS (SELECT 1 FROM orange_sms.message m
    WHERE m.account = $1 AND m.recipient = r.number)
OR EXISTS (SELECT 1 FROM orange_sms.message m
    WHERE m.account = $1 AND m.resource_id = r.resource_id AND m.recipient IS NULL))
"""


_LAPSED = "SELECT orange_sms.forget_notes($1, to_timestamp($2))"


async def forget_old(db: Connection, account: int, before: float, now: float) -> None:
    """Delete messages finished and receipts received before a time, and notes that have lapsed."""
    await db.execute(_OLD, account, before)
    await db.execute(_OLD_RECEIPTS, account, before)
    await db.execute(_LAPSED, account, now)


async def forget_content(db: Connection, account: int, now: float) -> int:
    """Replace the numbers and texts of finished messages by keyed hashes; return how many."""
    done = await db.execute(_CONTENT, account, now - REPORTED_WITHIN, timeout=600)
    await db.execute(_ADDRESSES, account, timeout=600)
    return int(done.rpartition(" ")[2])
