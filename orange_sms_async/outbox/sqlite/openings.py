"""Who has an outbox open, and how the one before left it; whoever calls has begun a transaction."""

import sqlite3


def begin(db: sqlite3.Connection, owner: str, now: float) -> bool:
    """Enter a new owner; say whether something may have left within the last second."""
    ended, left_at = db.execute("SELECT ended, left_at FROM opening").fetchone()
    cut = not ended or _is_sending(db)
    if cut:
        left_at = now  # by the file alone, nobody knows what left before a kill
    # Of a clock that was put back, nothing can be told but that it is not later than now.
    left_at = left_at and min(left_at, now)
    db.execute("UPDATE opening SET owner = ?, ended = 0, left_at = ?", (owner, left_at))
    return left_at is not None and left_at > now - 1


def has(db: sqlite3.Connection, owner: str) -> bool:
    """Tell whether nobody has opened the file after this owner, whatever became of its locks."""
    row = db.execute("SELECT owner FROM opening").fetchone()
    return row is not None and row[0] == owner


def _is_sending(db: sqlite3.Connection) -> bool:
    return bool(db.execute("SELECT 1 FROM message WHERE state = 'sending' LIMIT 1").fetchone())


def end(db: sqlite3.Connection, left_at: float | None) -> None:
    """Record a clean end, and when something last left, if that was in this opening."""
    db.execute("UPDATE opening SET ended = 1, left_at = ifnull(?, left_at)", (left_at,))
