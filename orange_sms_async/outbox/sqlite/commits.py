"""One thread and one connection for a file. Writes that wait for the disk share a commit."""

import asyncio
import contextlib
import errno
import sqlite3
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import attrs

from orange_sms_async.errors import OutboxUnusable
from orange_sms_async.outbox.sqlite import damage, database
from orange_sms_async.outbox.sqlite.damage import DamagedError
from orange_sms_async.outbox.sqlite.database import Opened, Operation
from orange_sms_async.outbox.sqlite.schema import Format

_T = TypeVar("_T")


@attrs.frozen
class _Asked:
    """
    An operation on the file.

    Attributes:
        writes: whether it changes the file.
        persists: whether it is tried again as long as another program holds the file.
    """

    operation: Operation[Any]
    future: asyncio.Future[Any]
    writes: bool
    persists: bool


class Commits:
    """
    A file of one kind, which may be opened and closed many times.

    Writes at the same time share one fsync. Each returns when it is on disk.

    Args:
        path: of the file.
        kind: the kind of file.
        glance: called after each transaction. What it returns is kept in `glanced`.

    Attributes:
        damaged: whether damage has shown since it was opened.
        held: whether another program holds it, so that an operation is being tried again.
    """

    def __init__(self, path: Path, kind: Format, glance: Operation[Any] = lambda _: None) -> None:
        self._path, self._kind, self._glance = path, kind, glance
        self._pending: list[_Asked] = []
        self._committing: asyncio.Future[list[Any]] | None = None
        self._thread: ThreadPoolExecutor | None = None
        self.damaged = self.held = self._ending = False

    async def open(self, *, restore: bool = False) -> None:
        thread = ThreadPoolExecutor(1, thread_name_prefix=f"orange-sms {self._kind.name}")
        connect = partial(database.connect, self._path, self._kind, restore=restore)
        try:
            self._opened: Opened = await asyncio.get_running_loop().run_in_executor(thread, connect)
        except BaseException:
            thread.shutdown(wait=False)
            raise
        self._thread, self._version = thread, -1
        self.damaged = self.held = self._ending = False
        try:
            self.glanced = await self.read(self._glance)
        except BaseException:
            await self.aclose()
            raise

    def clock(self) -> float:
        """Return the loop's time."""
        return asyncio.get_running_loop().time()

    def wall_clock(self) -> float:
        """Return the seconds since 1970. A loop whose clock jumps brings its own wall clock."""
        now: float = getattr(asyncio.get_running_loop(), "wall_time", time.time)()
        return now

    def changed(self) -> bool:
        """Tell whether anyone has written since the last call."""
        try:
            version = self._opened.version()
        except sqlite3.Error:
            return True  # a closer look shows what is wrong
        changed, self._version = version != self._version, version
        return changed

    async def aclose(self) -> None:
        self._ending = True
        while self._committing or self._pending:
            await (asyncio.wait({self._committing}) if self._committing else asyncio.sleep(0))
        thread, self._thread = self._thread, None
        if thread:
            await asyncio.get_running_loop().run_in_executor(thread, self._opened.close)
            thread.shutdown(wait=False)

    def write(self, operation: Operation[_T], *, persists: bool = False) -> asyncio.Future[_T]:
        """
        Run an operation in a transaction. The result comes once the transaction is on disk.

        An operation requested before `aclose` is done before `aclose` returns. If another program
        holds the file, the operation waits some seconds, or until `aclose` if it `persists`.
        """
        return self._ask(operation, writes=True, persists=persists)

    def read(self, operation: Operation[_T]) -> asyncio.Future[_T]:
        """Read the file as earlier operations leave it. No other program has to wait for this."""
        return self._ask(operation, writes=False)

    def _ask(
        self, operation: Operation[_T], *, writes: bool, persists: bool = False
    ) -> asyncio.Future[_T]:
        if self._thread is None:
            raise self._kind.unusable(self._path, "not open")
        future: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        self._pending.append(_Asked(operation, future, writes, persists))
        if self._committing is None and len(self._pending) == 1:
            # Not at once: callers that are woken together come back together, and share a commit.
            asyncio.get_running_loop().call_soon(self._commit_pending, self._thread)
        return future

    async def write_back(self) -> None:
        """Write back the log beside the file, so that the file alone shows what has begun."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(sqlite3.Error):  # nothing is lost: it stays in the log
            await loop.run_in_executor(self._thread, self._opened.write_back)

    async def empty_log(self) -> None:
        """
        Write back the log beside the file and empty it.

        Raises:
            OutboxUnusable: the log could not be emptied.
        """
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._opened.empty_log)
        except sqlite3.Error as error:
            raise self._shown(error) from None

    # Callbacks, not a task: a loop that ends cancels its tasks, while the last outcomes are still
    # to be written.

    def _commit_pending(self, thread: ThreadPoolExecutor) -> None:
        batch, self._pending = self._pending, []
        loop = asyncio.get_running_loop()
        self._committing = loop.run_in_executor(thread, self._do, batch)
        self._committing.add_done_callback(partial(self._committed, thread, batch))

    def _committed(
        self, thread: ThreadPoolExecutor, batch: list[_Asked], committing: asyncio.Future[list[Any]]
    ) -> None:
        *results, glanced = committing.result()
        if not isinstance(glanced, Exception):
            self.glanced = glanced
        again = list[_Asked]()
        for asked, result in zip(batch, results, strict=True):
            if asked.future.done():
                continue  # the caller went away; it is on disk all the same
            if asked.persists and _is_held(result) and not self._ending:
                again.append(asked)
            elif isinstance(result, Exception):
                asked.future.set_exception(result)
            else:
                asked.future.set_result(result)
        self._committing, self.held = None, bool(again)
        self._pending[:0] = again
        if self._pending:
            self._commit_pending(thread)

    def _do(self, batch: Sequence[_Asked]) -> list[Any]:
        written = iter(self._commit([asked.operation for asked in batch if asked.writes]))
        results = [
            next(written) if asked.writes else self._read(asked.operation) for asked in batch
        ]
        return [*results, self._read(self._glance)]

    def _commit(self, operations: Sequence[Operation[Any]]) -> list[Any]:
        try:
            return self._opened.write(operations) if operations else []
        except Exception as error:  # noqa: BLE001 -- each goes to its caller
            # After one wait for another process, do not wait again for each operation.
            if len(operations) == 1 or _is_busy(error):
                return [self._shown(error) for _ in operations]
            # On a full disk, an outcome may still fit where a new message does not.
            return [self._commit([operation])[0] for operation in operations]

    def _read(self, operation: Operation[Any]) -> Any:
        try:
            return self._opened.read(operation)
        except Exception as error:  # noqa: BLE001 -- as above
            return self._shown(error)

    def _shown(self, error: Exception) -> Exception:
        self.damaged = self.damaged or damage.is_damage(error)
        if not isinstance(error, sqlite3.Error | DamagedError):
            return error
        unusable = self._kind.unusable(self._path, damage.explained(error, self._kind))
        unusable.errno = errno.EBUSY if _is_busy(error) else None
        return unusable


def _is_held(result: object) -> bool:
    return isinstance(result, OutboxUnusable) and result.errno == errno.EBUSY


def _is_busy(error: Exception) -> bool:
    return isinstance(error, sqlite3.Error) and damage.is_busy(error)
