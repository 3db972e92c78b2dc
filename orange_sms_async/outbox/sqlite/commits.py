"""One thread and one connection to a file; what waits for the disk is committed together."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from orange_sms_async.outbox.sqlite import database
from orange_sms_async.outbox.sqlite.database import Format

_T = TypeVar("_T")
Operation = Callable[[sqlite3.Connection], _T]


class Commits:
    """
    A file of one kind, opened and closed as often as its owner likes.

    Many who write at the same time share one fsync: a write returns when it is on disk.
    """

    def __init__(self, path: Path, kind: Format) -> None:
        self._path, self._kind = path, kind
        self._pending: list[tuple[Operation[Any], asyncio.Future[Any]]] = []
        self._committing: asyncio.Future[list[Any]] | None = None
        self._thread: ThreadPoolExecutor | None = None
        # Done first in every transaction.
        self.check: Operation[None] = lambda _: None

    async def open(self) -> None:
        thread = ThreadPoolExecutor(1, thread_name_prefix=f"orange-sms {self._kind.name}")
        try:
            self._opened = await asyncio.get_running_loop().run_in_executor(
                thread, database.connect, self._path, self._kind
            )
        except BaseException:
            thread.shutdown(wait=False)
            raise
        self._thread = thread

    @property
    def connection(self) -> sqlite3.Connection:
        return self._opened.db

    async def aclose(self) -> None:
        while self._committing or self._pending:
            await (asyncio.wait({self._committing}) if self._committing else asyncio.sleep(0))
        thread, self._thread = self._thread, None
        if thread:
            await asyncio.get_running_loop().run_in_executor(thread, self._opened.close)
            thread.shutdown(wait=False)

    def write(self, operation: Operation[_T]) -> asyncio.Future[_T]:
        """
        Do something within a transaction; what it returns is there once that is on disk.

        Asked for before `aclose`, it is done before that ends.
        """
        if self._thread is None:
            raise self._kind.unusable(self._path, "not open")
        future: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        self._pending.append((operation, future))
        if self._committing is None and len(self._pending) == 1:
            # Not at once: those who are woken together come back together, and share a commit.
            asyncio.get_running_loop().call_soon(self._commit_pending, self._thread)
        return future

    async def empty_log(self) -> None:
        """
        Write back the log beside the file and empty it.

        Raises:
            OutboxUnusable: it could not be.
        """
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, database.empty_log, self.connection)
        except sqlite3.Error as error:
            raise self._shown(error) from None

    # Callbacks, not a task: a loop that ends cancels its tasks, and then the last outcomes are
    # still to be written.

    def _commit_pending(self, thread: ThreadPoolExecutor) -> None:
        batch, self._pending = self._pending, []
        operations = [operation for operation, _ in batch]
        loop = asyncio.get_running_loop()
        self._committing = loop.run_in_executor(thread, self._commit, operations)
        self._committing.add_done_callback(partial(self._committed, thread, batch))

    def _committed(
        self,
        thread: ThreadPoolExecutor,
        batch: list[tuple[Operation[Any], asyncio.Future[Any]]],
        committing: asyncio.Future[list[Any]],
    ) -> None:
        for (_, future), result in zip(batch, committing.result(), strict=True):
            if future.done():
                continue  # whoever asked went away; it is on disk all the same
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
        self._committing = None
        if self._pending:
            self._commit_pending(thread)

    def _commit(self, operations: Sequence[Operation[Any]]) -> list[Any]:
        db = self.connection
        try:
            self._opened.check()
            db.execute("BEGIN IMMEDIATE")
            self.check(db)
            results = [operation(db) for operation in operations]
            db.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 -- each goes to whom it concerns
            with contextlib.suppress(sqlite3.Error):  # none was begun, or SQLite did it itself
                db.execute("ROLLBACK")
            if len(operations) == 1:
                return [self._shown(error)]
            # On a full disk a new message may find no room where an outcome still does.
            return [self._commit([operation])[0] for operation in operations]
        return results

    def _shown(self, error: Exception) -> Exception:
        if not isinstance(error, sqlite3.Error):
            return error
        return self._kind.unusable(self._path, database.explained(error, self._kind))
