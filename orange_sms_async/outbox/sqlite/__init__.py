"""An outbox in a file: what was admitted is on disk, and survives any end of the process."""

import asyncio
import contextlib
import os
import sqlite3
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path

from orange_sms_async.errors import InvalidMessage, OutboxUnusable
from orange_sms_async.messages import ResourceId
from orange_sms_async.outbox import Claim, Entry
from orange_sms_async.outbox.sqlite import database, openings, received, settling, statements
from orange_sms_async.outbox.sqlite.commits import Commits
from orange_sms_async.outbox.sqlite.database import OUTBOX
from orange_sms_async.outbox.sqlite.statements import KeptMessage
from orange_sms_async.outcomes import Outcome, Priority, State
from orange_sms_async.receipts import REPORTED_WITHIN, DeliveryReceipt


class SqliteOutbox:
    """
    One file, one thread, one connection, one process: whoever comes second is told so.

    A lock on a file beside it, `NAME.turn`, says that somebody has it.
    What waits for the disk is committed together, so that many producers share one fsync. The file
    holds numbers and texts and is created for its owner alone; `forget` takes them out.

    Args:
        path: of the file, which is created where there is none.

    Raises:
        ValueError: the path is what SQLite takes for a database that is gone with the process.
    """

    durable = True
    has_turn = True  # the file is held by one process

    def __init__(self, path: str | os.PathLike[str]) -> None:
        if os.fspath(path) in {"", ":memory:"}:
            raise ValueError(
                "path: an outbox is kept on disk, so it must name a file; for a queue in memory "
                "leave `outbox` out"
            )
        self.path = Path(path)
        self.place = self.path.resolve()
        self._file = Commits(self.path, OUTBOX)
        self._owner = ""
        self._waiting = Counter[Priority]()
        self._sending = 0
        self._left: float | None = None  # when something last may have left, on the loop's clock
        self.sent_lately = False

    # -- opening and closing --------------------------------------------------------------------

    async def open(self, now: float, retention: timedelta) -> list[Outcome]:
        # Forgotten before its receipts have come, a message could not tell them from another's.
        self._retention = max(retention.total_seconds(), REPORTED_WITHIN)
        self._owner, self._left = uuid.uuid4().hex, None
        self._file.check = lambda _: None
        await self._file.open()
        try:
            await self._file.write(self._look_for_damage)
            self.sent_lately = await self._file.write(
                lambda db: openings.begin(db, self._owner, now)
            )
            self._file.check = self._check_owner
            recovered = await self._file.write(lambda db: settling.recover(db, now))
            self._waiting, self._sending = await self._file.write(statements.count_waiting), 0
        except BaseException:
            await self._file.aclose()
            raise
        return recovered

    async def aclose(self) -> None:
        ago = asyncio.get_running_loop().time() - self._left if self._left is not None else None
        left_at = None if ago is None else time.time() - ago
        with contextlib.suppress(OutboxUnusable):  # not open, and so nothing is at its end
            ending = self._file.write(lambda db: self._end(db, left_at))
            # What is damaged, or cannot be written, is no clean end: the next one sees that.
            ending.add_done_callback(asyncio.Future.exception)
        await self._file.aclose()

    def _end(self, db: sqlite3.Connection, left_at: float | None) -> None:
        if not self._file.damaged:
            openings.end(db, left_at)

    def _look_for_damage(self, db: sqlite3.Connection) -> None:
        if not openings.ended(db):
            database.repair(db, self.path)

    def _check_owner(self, db: sqlite3.Connection) -> None:
        if not openings.has(db, self._owner):
            raise OUTBOX.unusable(self.path, "opened by another process while it was in use here")

    # -- what SendQueue asks --------------------------------------------------------------------

    @property
    def unfinished(self) -> int:
        return self._waiting.total() + self._sending

    def waiting(self, priority: Priority) -> int:
        return self._waiting[priority]

    def add(self, entry: Entry) -> asyncio.Future[Outcome | None]:
        # Asked for at once: a queue that closes before the task begins waits for it.
        keeping = self._file.write(lambda db: statements.add(db, entry))
        return asyncio.ensure_future(self._added(entry, keeping))

    async def _added(
        self, entry: Entry, keeping: asyncio.Future[tuple[bool, Outcome] | None]
    ) -> Outcome | None:
        kept = await keeping
        if kept is None:
            self._waiting[entry.priority] += 1
            return None
        same_message, outcome = kept
        if not same_message:
            raise InvalidMessage("reference: kept already, with another number or text")
        return outcome

    async def ready_at(self) -> float | None:
        return await self._file.write(statements.ready_at) if self._waiting.total() else None

    async def claim(self, now: float) -> Claim | None:
        claim = await self._file.write(lambda db: statements.claim(db, self._owner, now))
        if claim is not None:
            self._waiting[claim.entry.priority] -= 1
            self._sending += 1
        return claim

    async def put_back(self, claim: Claim, *, again: bool) -> None:
        self._left = asyncio.get_running_loop().time()
        if await self._file.write(lambda db: statements.put_back(db, claim, again)):
            self._waiting[claim.entry.priority] += 1
            self._sending -= 1

    async def settle(self, claim: Claim, outcome: Outcome, now: float) -> list[Outcome]:
        def settle(db: sqlite3.Connection) -> tuple[State | None, list[Outcome]]:
            settled = settling.settle_claimed(db, claim, outcome, now)
            statements.forget_old(db, now, self._retention)
            return settled

        self._left = asyncio.get_running_loop().time()
        before, settled = await self._file.write(settle)
        if settled and before is State.SENDING:
            self._sending -= 1
        elif settled and before is State.QUEUED:
            self._waiting[claim.entry.priority] -= 1
        return settled

    async def keep(self, receipt: DeliveryReceipt, now: float) -> tuple[Outcome, bool] | None:
        def keep(db: sqlite3.Connection) -> tuple[Outcome, bool] | None:
            received.forget_old(db, now, self._retention)
            return settling.keep(db, receipt, now)

        return await self._file.write(keep)

    async def withdraw(self, outcome: Outcome, now: float) -> bool:
        priority = await self._file.write(lambda db: statements.withdraw(db, outcome, now))
        if priority is None:
            return False
        self._waiting[priority] -= 1
        return True

    async def resolve(self, reference: str, sent: ResourceId | None, now: float) -> list[Outcome]:
        resolved = await self._file.write(lambda db: settling.resolve(db, reference, sent, now))
        if resolved is None:
            return []
        priority, outcomes = resolved
        if sent is None:
            self._waiting[priority] += 1
        return outcomes

    async def find(self, reference: str) -> Outcome:
        outcome = await self._file.write(lambda db: statements.find(db, reference))
        if outcome is None:
            raise KeyError(reference)
        return outcome

    async def outcomes(self, state: State | None) -> AsyncIterator[Outcome]:
        page = await self._file.write(partial(statements.page, state=state, after=0))
        while page:
            for _, outcome in page:
                yield outcome
            page = await self._file.write(partial(statements.page, state=state, after=page[-1][0]))

    # -- what a person asks ---------------------------------------------------------------------

    async def counts(self) -> Counter[State]:
        """Count the messages in each state."""
        return await self._file.write(statements.counts)

    async def messages(self, state: State | None = None) -> AsyncIterator[KeptMessage]:
        """Tell of all messages as they are kept, or of those in one state, oldest first."""
        page = await self._file.write(partial(statements.kept_page, state=state, after=0))
        while page:
            for _, message in page:
                yield message
            page = await self._file.write(
                partial(statements.kept_page, state=state, after=page[-1][0])
            )

    async def deliveries(self) -> Counter[str]:
        """Count the messages by how far receipts have brought them."""
        return await self._file.write(settling.counts)

    async def awaited(self, now: float) -> int:
        """Count the messages of the last 24 hours of which a final receipt may still come."""
        return await self._file.write(partial(settling.awaited, now=now))

    async def perhaps_of(self, reference: str) -> list[DeliveryReceipt]:
        """List receipts that may be an unknown message's, where it is not certain whose."""
        return await self._file.write(partial(settling.perhaps_of, reference=reference))

    async def key(self) -> bytes:
        """Return a secret of this file: a hash keyed with it says nothing to who has no file."""
        return await self._file.write(statements.key)

    async def forget(self) -> int:
        """
        Replace numbers and texts of finished messages by keyed hashes; return how many.

        Their outcomes stay, and their references are still recognised. The key is in the file:
        whoever has the file can still try whether a guessed number and text were sent.

        Raises:
            OutboxUnusable: texts may still stand in the log beside the file; forget again.
        """
        forgotten = await self._file.write(partial(statements.forget_content, now=time.time()))
        # What was overwritten in the file still stands in the log beside it.
        try:
            await self._file.empty_log()
        except OutboxUnusable as unusable:
            unusable.add_note("Texts may still stand in the log beside the file: forget again.")
            raise
        return forgotten
