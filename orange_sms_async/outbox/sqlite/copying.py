"""Copies an outbox while queues run. The copy is marked as a copy."""

import contextlib
import errno
import os
import sqlite3
from pathlib import Path

from orange_sms_async.outbox.sqlite import damage, database
from orange_sms_async.outbox.sqlite.damage import DamagedError
from orange_sms_async.outbox.sqlite.schema import OUTBOX
from orange_sms_async.outbox.sqlite.watermark import sync_folder

_BESIDE = ("", "-journal", "-shm", "-wal", ".mark", ".turn")


def backup(path: Path, copy: Path) -> None:
    """
    Copy an outbox to a new file that only its owner can read. Queues may send meanwhile.

    What waits in the copy may be sent from the outbox later, so the copy opens only with `restore`.

    Args:
        path: the outbox.
        copy: a new file. Nothing that SQLite or an outbox keeps beside it may exist either.

    Raises:
        OutboxUnusable: the outbox cannot be read, or the copy cannot be made. No copy is left.
    """
    with contextlib.closing(database.connect(path, OUTBOX)) as opened:
        try:
            made = _create(copy)
        except OSError as error:
            raise OUTBOX.unusable(copy, str(error.strerror)) from None
        try:
            opened.read(lambda db: _copy(db, made))
            sync_folder(made)
        except BaseException as error:
            for beside in _all(made):
                beside.unlink(missing_ok=True)
            if isinstance(error, sqlite3.Error | DamagedError):
                why = damage.explained(error, OUTBOX)
                raise OUTBOX.unusable(path, f"not copied: {why}") from None
            raise


def _all(copy: Path) -> list[Path]:
    return [copy.with_name(f"{copy.name}{beside}") for beside in _BESIDE]


def _create(copy: Path) -> Path:
    copy = copy.absolute()  # SQLite may take a relative "file:…" for a URI
    # An old log beside the copy would be taken for the copy's own.
    for beside in _all(copy):
        if os.path.lexists(beside):
            raise FileExistsError(
                errno.EEXIST, f"{beside.name} exists already: choose another name"
            )
    os.close(os.open(copy, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    return copy


def _copy(db: sqlite3.Connection, copy: Path) -> None:
    # In one step: a copy in many steps starts again at each commit of others, perhaps for ever.
    with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as made:
        db.backup(made)
        # Like a file whose process was killed and whose mark is gone.
        made.execute(
            "UPDATE opening SET ended = 0, owner = NULL, process = NULL, since = NULL, "
            "commits = max(commits, 1)"
        )
