"""The turn: one process at a time sends from an outbox, by a lock on a file beside it."""

import contextlib
import errno
import os
import sys
import threading
import weakref
from pathlib import Path

from orange_sms_async.outbox.sqlite.watermark import own_as

if sys.platform != "win32":
    import fcntl

LOCKS = sys.platform != "win32"  # elsewhere, SQLite's own locks must be enough

# Record locks belong to the process, not to the object that took them: two outboxes of one process
# would both get one, and any close of the file, even by a reader of a copy, frees it for all.
_held: dict[tuple[int, int], int] = {}
_taking = threading.Lock()


class Turn:
    """Held until it is released, or nobody refers to it, or the process ends."""

    def __init__(self, held: tuple[int, int], file: int) -> None:
        self.release = weakref.finalize(self, _release, held, file, os.getpid())


def take(path: Path) -> Turn:
    """
    Take the turn of an outbox.

    Raises:
        BlockingIOError: another process, or another outbox of this one, has it.
        OSError: no file can be made there, or its file system has no locks.
    """
    path = path.resolve()  # one file, whatever links lead to it
    beside = path.with_name(f"{path.name}.turn")
    with _taking:
        # Opened only if it is not held here: closing it again would free the lock.
        if beside.exists() and identity(beside) in _held:
            raise BlockingIOError(errno.EAGAIN, "held by another outbox of this process")
        file = _open(beside, path)
        _lock(file)
        held = identity(file)
        _held[held] = file
        return Turn(held, file)


def taken(path: Path) -> bool:
    """
    Tell whether anybody has the turn of an outbox.

    A process that tries to take it at the same instant finds it taken, and tries again later.
    """
    path = path.resolve()
    if not path.with_name(f"{path.name}.turn").exists():
        return False  # trying would create one
    try:
        take(path).release()
    except BlockingIOError:
        return True
    return False


def identity(file: int | Path) -> tuple[int, int]:
    """Identify a file, whatever its name."""
    status = file.stat() if isinstance(file, Path) else os.fstat(file)
    return status.st_dev, status.st_ino


def _open(beside: Path, path: Path) -> int:
    with contextlib.suppress(FileExistsError):
        file = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        own_as(file, like=path)  # anyone who may open the outbox may take its turn
        return file
    return os.open(beside, os.O_RDWR)


def _lock(file: int) -> None:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise BlockingIOError(errno.EAGAIN, "held by another process") from None
        raise


def _release(held: tuple[int, int], file: int, process: int) -> None:
    # In this order: a process that took it in between would lose it with the close.
    if process == os.getpid():
        os.close(file)
        del _held[held]


def _begin_anew() -> None:
    """Forget what the parent of a fork holds: its locks are not inherited."""
    global _taking  # noqa: PLW0603 -- a thread that is not here may have it
    _taking = threading.Lock()
    for file in _held.values():
        os.close(file)
    _held.clear()


if LOCKS:
    os.register_at_fork(after_in_child=_begin_anew)
