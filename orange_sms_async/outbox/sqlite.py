"""An outbox in a file: what was admitted is on disk, and survives any end of the process."""

import asyncio
import contextlib
import os
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from orange_sms_async.errors import (
    InvalidMessage,
)
from orange_sms_async.messages import ResourceId
from orange_sms_async.outbox import Entry, OutboxUnusable, Outcome, Priority, State, database, rows
from orange_sms_async.outbox.rows import KeptMessage

_T = TypeVar("_T")
Operation = Callable[[sqlite3.Connection], _T]


class SqliteOutbox:
    """
    One file, one thread, one connection, one process: whoever comes second is told so.

    What waits for the disk is committed together, so that many producers share one fsync. The file
    holds numbers and texts and is created for its owner alone; `forget` takes them out.

    path: of the file, which is created where there is none.
    """

    durable = True

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._waiting = Counter[Priority]()
        self._sending = 0
        self._pending: list[tuple[Operation[Any], asyncio.Future[Any]]] = []
        self._committing: asyncio.Future[list[Any]] | None = None
        self._thread: ThreadPoolExecutor | None = None

    # -- opening and closing --------------------------------------------------------------------

    async def open(self, now: float, retention: timedelta) -> list[Outcome]:
        self._retention = retention.total_seconds()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="orange-sms outbox")
        try:
            loop = asyncio.get_running_loop()
            self._connection = await loop.run_in_executor(self._thread, database.connect, self.path)
        except BaseException:
            self._thread.shutdown(wait=False)
            raise
        try:
            recovered = await self._write(lambda db: rows.recover(db, now))
            self._waiting, self._sending = await self._write(rows.count_waiting), 0
        except BaseException:
            await self.aclose()
            raise
        return recovered

    async def aclose(self) -> None:
        while self._committing or self._pending:
            await (asyncio.wait({self._committing}) if self._committing else asyncio.sleep(0))
        thread, self._thread = self._thread, None
        if thread:
            await asyncio.get_running_loop().run_in_executor(thread, self._connection.close)
            thread.shutdown(wait=False)

    async def _write(self, operation: Operation[_T]) -> _T:
        if self._thread is None:
            raise OutboxUnusable(f"outbox {self.path}: not open")
        future = asyncio.get_running_loop().create_future()
        self._pending.append((operation, future))
        if self._committing is None and len(self._pending) == 1:
            # Not at once: those who are woken together come back together, and share a commit.
            asyncio.get_running_loop().call_soon(self._commit_pending, self._thread)
        return await future  # type: ignore[no-any-return]

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
        db = self._connection
        try:
            db.execute("BEGIN IMMEDIATE")
            results = [operation(db) for operation in operations]
            db.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 -- each goes to whom it concerns
            with contextlib.suppress(sqlite3.Error):  # none was begun, or SQLite did it itself
                db.execute("ROLLBACK")
            if len(operations) == 1:
                return [
                    database.unusable(self.path, error)
                    if isinstance(error, sqlite3.Error)
                    else error
                ]
            # On a full disk a new message may find no room where an outcome still does.
            return [self._commit([operation])[0] for operation in operations]
        return results

    # -- what SendQueue asks --------------------------------------------------------------------

    @property
    def unfinished(self) -> int:
        return self._waiting.total() + self._sending

    def waiting(self, priority: Priority) -> int:
        return self._waiting[priority]

    def add(self, entry: Entry) -> asyncio.Future[Outcome | None]:
        return asyncio.ensure_future(self._add(entry))

    async def _add(self, entry: Entry) -> Outcome | None:
        kept = await self._write(lambda db: rows.add(db, entry))
        if kept is None:
            self._waiting[entry.priority] += 1
            return None
        same_message, outcome = kept
        if not same_message:
            raise InvalidMessage("reference: kept already, with another number or text")
        return outcome

    async def ready_at(self) -> float | None:
        return await self._write(rows.ready_at) if self._waiting.total() else None

    async def take(self, now: float) -> Entry | None:
        entry = await self._write(lambda db: rows.take(db, now))
        if entry is not None:
            self._waiting[entry.priority] -= 1
            self._sending += 1
        return entry

    async def put_back(self, entry: Entry) -> None:
        await self._write(lambda db: rows.put_back(db, entry))
        self._waiting[entry.priority] += 1
        self._sending -= 1

    async def settle(self, outcome: Outcome, now: float) -> None:
        def settle(db: sqlite3.Connection) -> None:
            rows.settle(db, outcome, now)
            rows.forget_old(db, now - self._retention)

        await self._write(settle)
        self._sending -= 1

    async def withdraw(self, outcome: Outcome, now: float) -> bool:
        priority = await self._write(lambda db: rows.withdraw(db, outcome, now))
        if priority is None:
            return False
        self._waiting[priority] -= 1
        return True

    async def resolve(self, reference: str, sent: ResourceId | None, now: float) -> bool:
        priority = await self._write(lambda db: rows.resolve(db, reference, sent, now))
        if priority is not None and sent is None:
            self._waiting[priority] += 1
        return priority is not None

    async def find(self, reference: str) -> Outcome:
        outcome = await self._write(lambda db: rows.find(db, reference))
        if outcome is None:
            raise KeyError(reference)
        return outcome

    async def outcomes(self, state: State | None) -> AsyncIterator[Outcome]:
        page = await self._write(partial(rows.page, state=state, after=0))
        while page:
            for _, outcome in page:
                yield outcome
            page = await self._write(partial(rows.page, state=state, after=page[-1][0]))

    # -- what a person asks ---------------------------------------------------------------------

    async def counts(self) -> Counter[State]:
        """Count the messages in each state."""
        return await self._write(rows.counts)

    async def messages(self, state: State | None = None) -> AsyncIterator[KeptMessage]:
        """Tell of all messages as they are kept, or of those in one state, oldest first."""
        page = await self._write(partial(rows.kept_page, state=state, after=0))
        while page:
            for _, message in page:
                yield message
            page = await self._write(partial(rows.kept_page, state=state, after=page[-1][0]))

    async def key(self) -> bytes:
        """Return a secret of this file: a hash keyed with it says nothing to who has no file."""
        return await self._write(rows.key)

    async def forget(self) -> int:
        """
        Replace numbers and texts of finished messages by keyed hashes; return how many.

        Their outcomes stay, and their references are still recognised. The key is in the file:
        whoever has the file can still try whether a guessed number and text were sent.

        Raises:
            OutboxUnusable: texts may still stand in the log beside the file; forget again.
        """
        forgotten = await self._write(rows.forget_content)
        # What was overwritten in the file still stands in the log beside it.
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, database.empty_log, self._connection)
        except sqlite3.Error as error:
            unusable = database.unusable(self.path, error)
            unusable.add_note("Texts may still stand in the log beside the file: forget again.")
            raise unusable from error
        return forgotten
