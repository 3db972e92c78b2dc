"""Who has the turn, and how the previous one ended. The caller has begun a transaction."""

import datetime as dt
import os
import sqlite3

_QUIET = 5.0  # seconds without a claim, though something could leave, until that is reported


def begin(db: sqlite3.Connection, owner: str, now: float) -> bool:
    """Record who has the turn now; return whether something may have left in the last second."""
    ended, left_at = db.execute("SELECT ended, left_at FROM opening").fetchone()
    cut = not ended or _is_sending(db)
    if cut:
        left_at = now  # the file does not say what left before a kill
    # If the clock was set back, only one thing is known: it is not later than now.
    left_at = left_at and min(left_at, now)
    db.execute(
        "UPDATE opening SET owner = ?, process = ?, since = ?, claimed_at = ?, ended = 0, "
        "left_at = ?",
        (owner, os.getpid(), now, now, left_at),
    )
    return left_at is not None and left_at > now - 1


def ended(db: sqlite3.Connection) -> bool:
    """Tell whether the last turn came to a clean end."""
    return bool(db.execute("SELECT ended FROM opening").fetchone()[0])


def claims(db: sqlite3.Connection, owner: str, now: float) -> bool:
    """Record a claim; return whether its owner still has the turn, whatever the locks say."""
    noted = db.execute("UPDATE opening SET claimed_at = ? WHERE owner = ?", (now, owner))
    return noted.rowcount > 0


def holder(db: sqlite3.Connection) -> tuple[int, float] | None:
    """Return which process has the turn, as far as the file knows, and since when."""
    row = db.execute("SELECT process, since FROM opening WHERE ended = 0").fetchone()
    return None if row is None or row[0] is None else row


def silent(db: sqlite3.Connection, now: float) -> str | None:
    """Say which process has the turn and claims nothing."""
    found = holder(db)
    (claimed_at,) = db.execute("SELECT claimed_at FROM opening").fetchone()
    if found is None or claimed_at is None or abs(now - claimed_at) < _QUIET:
        return None
    process, since = found
    at = dt.datetime.fromtimestamp(since, dt.UTC).astimezone()
    return f"process {process} has had the turn since {at:%Y-%m-%d %H:%M:%S} and sends nothing"


def _is_sending(db: sqlite3.Connection) -> bool:
    return bool(db.execute("SELECT 1 FROM message WHERE state = 'sending' LIMIT 1").fetchone())


def end(db: sqlite3.Connection, owner: str, left_at: float | None) -> None:
    """Record a clean end, and when something last left, if that was in this turn."""
    db.execute(
        "UPDATE opening SET ended = 1, left_at = ifnull(?, left_at) WHERE owner = ?",
        (left_at, owner),
    )
