"""Delivery receipts in a file. The caller has begun a transaction."""

import math
import sqlite3

from orange_sms_async.messages import ResourceId
from orange_sms_async.receipts import DeliveryReceipt, rank

# Seconds. A clock may start out wrong. So retention counts from a time that the file recorded this
# long ago, if the clock has not gone back behind it: only such a time is certainly past.
SURE_AFTER = 86_400.0
_AT_ONCE = 10  # old receipts that are forgotten with each new one


def add(db: sqlite3.Connection, receipt: DeliveryReceipt, arrived_at: float) -> None:
    """Store a receipt, unless it says nothing new."""
    # Without a resource id, receipts of two messages to one number look like duplicates. The plus
    # keeps SQLite from searching all receipts of the number.
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
    """Return how far a message has come, by its stored receipts."""
    rows = db.execute(
        "SELECT resource_id, status, address FROM receipt WHERE resource_id = ?", (resource_id,)
    )
    return max(map(_receipt, rows), key=rank, default=None)


def forget_old(db: sqlite3.Connection, now: float, retention: float) -> None:
    # In the order in which they came, so that the old ones need no search.
    first = db.execute("SELECT id, arrived_at FROM receipt ORDER BY id LIMIT 1").fetchone()
    if first is None or first[1] >= now - SURE_AFTER - retention:
        return
    before = _seen(db, first[0], now - SURE_AFTER) - retention
    db.execute(
        "DELETE FROM receipt WHERE id IN (SELECT id FROM "
        f"(SELECT id, arrived_at FROM receipt ORDER BY id LIMIT {_AT_ONCE}) WHERE arrived_at < ?)",
        (before,),
    )


def _seen(db: sqlite3.Connection, first: int, until: float) -> float:
    """Return roughly when the last receipt before a time came; `first` is the id of the oldest."""
    # By halves: ids are in order of arrival, and there is no index of times.
    (last,) = db.execute("SELECT max(id) FROM receipt").fetchone()
    query = "SELECT id, arrived_at FROM receipt WHERE id <= ? ORDER BY id DESC LIMIT 1"
    seen = -math.inf
    while first <= last:
        middle = (first + last + 1) // 2
        id_, arrived_at = db.execute(query, (middle,)).fetchone()
        if arrived_at <= until:
            seen, first = arrived_at, middle + 1
        else:
            last = id_ - 1
    return seen


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
    # JSON can contain half a character (a lone surrogate), a file cannot.
    return text.encode(errors="backslashreplace").decode()


def _receipt(row: tuple[str, str, str | None] | list[str]) -> DeliveryReceipt:
    resource_id, status, address = row
    return DeliveryReceipt(
        resource_id=ResourceId(resource_id), status=status, address=address or ""
    )
