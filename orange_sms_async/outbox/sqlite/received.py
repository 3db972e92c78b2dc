"""Delivery receipts in a file; whoever calls has begun a transaction."""

import sqlite3

from orange_sms_async.messages import ResourceId
from orange_sms_async.receipts import DeliveryReceipt, rank

_AT_ONCE = 10  # old receipts that are forgotten with each new one


def add(db: sqlite3.Connection, receipt: DeliveryReceipt, arrived_at: float) -> None:
    """Keep a receipt, unless it says nothing new."""
    # Without a resource id, two messages to one number look like a duplicate. The plus keeps SQLite
    # from looking for it among all receipts of the number.
    db.execute(
        "INSERT INTO receipt (resource_id, status, address, arrived_at) "
        "SELECT :resource_id, :status, :address, :arrived_at WHERE NOT EXISTS ("
        "SELECT 1 FROM receipt WHERE resource_id = :resource_id AND status = :status "
        "AND resource_id <> '' AND +address IS :address)",
        {
            "resource_id": storable(receipt.resource_id),
            "status": storable(receipt.status),
            "address": storable(receipt.address) or None,
            "arrived_at": arrived_at,
        },
    )


def furthest(db: sqlite3.Connection, resource_id: str) -> DeliveryReceipt | None:
    """Return how far a message has come by the receipts kept of it."""
    rows = db.execute(
        "SELECT resource_id, status, address FROM receipt WHERE resource_id = ?", (resource_id,)
    )
    return max(map(_receipt, rows), key=rank, default=None)


def forget_old(db: sqlite3.Connection, before: float) -> None:
    # In the order in which they came, so that nobody has to look for the old ones.
    oldest = db.execute("SELECT arrived_at FROM receipt ORDER BY id LIMIT 1").fetchone()
    if oldest is None or oldest[0] >= before:
        return
    db.execute(
        "DELETE FROM receipt WHERE id IN (SELECT id FROM "
        f"(SELECT id, arrived_at FROM receipt ORDER BY id LIMIT {_AT_ONCE}) WHERE arrived_at < ?)",
        (before,),
    )


def of_nobody(db: sqlite3.Connection, number: str) -> list[tuple[DeliveryReceipt, float]]:
    """List the receipts of a number whose resource id no message has, and when each came."""
    found = db.execute(
        "SELECT resource_id, status, address, arrived_at FROM receipt "
        "WHERE address IN (?, ?) AND resource_id <> '' AND NOT EXISTS "
        "(SELECT 1 FROM message WHERE message.resource_id = receipt.resource_id) ORDER BY id",
        (f"tel:{number}", number),
    )
    return [(_receipt(row), arrived_at) for *row, arrived_at in found]


def page(db: sqlite3.Connection, after: int) -> list[tuple[int, DeliveryReceipt, float]]:
    rows = db.execute(
        "SELECT resource_id, status, address, id, arrived_at FROM receipt "
        "WHERE id > ? ORDER BY id LIMIT 500",
        (after,),
    )
    return [(id_, _receipt(row), arrived_at) for *row, id_, arrived_at in rows]


def storable(text: str) -> str:
    # JSON can hold half of a character (a lone surrogate), a file cannot.
    return text.encode(errors="backslashreplace").decode()


def _receipt(row: tuple[str, str, str | None] | list[str]) -> DeliveryReceipt:
    resource_id, status, address = row
    return DeliveryReceipt(
        resource_id=ResourceId(resource_id), status=status, address=address or ""
    )
