"""An outbox in a file: admitted messages are on disk, and survive any end of the process."""

import os
import sqlite3
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Collection
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from orange_sms_async.errors import OutboxUnusable
from orange_sms_async.messages import OutboundMessage, ResourceId
from orange_sms_async.outbox import Claim, Entry, KeptMessage
from orange_sms_async.outbox.sqlite import damage, openings, received, settling, statements, turn
from orange_sms_async.outbox.sqlite.door import Door
from orange_sms_async.outbox.sqlite.noting import SqliteNotes
from orange_sms_async.outbox.sqlite.schema import OUTBOX
from orange_sms_async.outbox.summary import DeliveryCount
from orange_sms_async.outbox.terms import Terms
from orange_sms_async.outcomes import Outcome, Priority, State
from orange_sms_async.receipts import REPORTED_WITHIN, DeliveryReceipt

if TYPE_CHECKING:  # slow to import, and `put` needs no loop
    import asyncio

    from orange_sms_async.outbox.sqlite.commits import Commits
    from orange_sms_async.outbox.sqlite.turn import Turn

_SOON = 0.1  # seconds


class SqliteOutbox:
    """
    A file that any number of processes of one machine may open.

    Each process can submit, withdraw and look up messages, and store receipts. One at a time has
    the turn, and sends: it holds a lock on a file beside it, `NAME.turn`, which the operating
    system frees when the process ends. Waiting changes are committed together, so many producers
    share one fsync. The file contains numbers and texts, and only its owner can read it. `forget`
    deletes them.

    Args:
        path: of the file, which is created if there is none. It must not be on a network.
        restore: open a copy that is older than what was sent from the original. Its waiting
            messages become unknown: they may have been sent since.

    Attributes:
        doubted: the messages that became unknown by opening with `restore`.

    Raises:
        ValueError: SQLite would take the path for a temporary database.
    """

    durable = True
    look_every = _SOON
    rate: float | None = None
    guard: float | None = None

    def __init__(self, path: str | os.PathLike[str], *, restore: bool = False) -> None:
        if os.fspath(path) in {"", ":memory:"}:
            raise ValueError(
                "path: an outbox is kept on disk, so it must name a file; for a queue in memory "
                "leave `outbox` out"
            )
        self.path = Path(path)
        self.place = self.path.resolve()
        self._restore = restore
        self._door = Door(self.path)
        self._opened: Commits | None = None
        self._owner = ""
        self._turn: Turn | None = None
        self._left: float | None = None  # when a message may last have left, on the loop's clock
        self.has_turn = self.sent_lately = False
        self.doubted: list[Outcome] = []
        self.notes = SqliteNotes(lambda: self._file)

    # -- without a loop -------------------------------------------------------------------------

    def put(self, message: OutboundMessage, **terms: Unpack[Terms]) -> None:
        """
        Admit a message from any thread of any process, with no event loop.

        When this returns, the message is on disk. It leaves as soon as a queue has this outbox
        open. That queue's gate is asked only then. A reference that the outbox already has is not
        sent again.

        Args:
            message: what to send.
            **terms: as `SendQueue.submit`.

        Raises:
            InvalidMessage: a datetime without time zone, or a reference that already belongs to
                another number or text.
            OutboxUnusable: the message cannot be kept, so it was not admitted.
        """
        self._door.put(message, **terms)

    # Not `find`, which a queue awaits.
    def outcome(self, reference: str) -> Outcome:
        """
        Return how far a message has come, from any thread of any process.

        Raises:
            KeyError: not known, or older than the queue's retention.
            OutboxUnusable: the file cannot be read.
        """
        return self._door.outcome(reference)

    # -- opening and closing --------------------------------------------------------------------

    async def open(self, now: float, retention: timedelta) -> None:
        # Here, because it imports asyncio.
        from orange_sms_async.outbox.sqlite.commits import Commits  # noqa: PLC0415

        # If a message were forgotten before its receipts came, they might be taken for another's.
        self._retention = max(retention.total_seconds(), REPORTED_WITHIN)
        self._owner, self._left = uuid.uuid4().hex, None
        file = Commits(self.path, OUTBOX, statements.waiting)
        await file.open(restore=self._restore)
        self._opened = file
        try:
            self._heard = await self._file.read(statements.latest_change)
            if self._restore:
                doubt = partial(statements.doubt_all, now=now)
                self.doubted = await self._file.write(doubt)
        except BaseException:
            await self._file.aclose()
            raise
        self._restore = False

    @property
    def _file(self) -> "Commits":
        if self._opened is None:
            raise OUTBOX.unusable(self.path, "not open")
        return self._opened

    async def aclose(self) -> None:
        if self._opened is None:
            return
        if self.has_turn:
            ago = self._file.clock() - self._left if self._left is not None else None
            left_at = None if ago is None else self._file.wall_clock() - ago
            ending = self._file.write(partial(_end, self._file, self._owner, left_at))
            # A damaged or unwritable file has no clean end: the next opening sees that.
            ending.add_done_callback(type(ending).exception)
        await self._file.aclose()
        self._let_go()

    # -- the turn -------------------------------------------------------------------------------

    async def take_turn(self, now: float) -> bool:
        if self.has_turn:
            return True
        try:
            self._turn = turn.take(self.path) if turn.LOCKS else None
        except BlockingIOError:
            return False
        except OSError as error:
            raise OUTBOX.unusable(self.path, str(error.strerror)) from error
        try:
            await self._look_for_damage()
            self.sent_lately = await self._file.write(
                lambda db: openings.begin(db, self._owner, now), persists=True
            )
            # A copy of the file alone then shows that it was made while the file was in use.
            await self._file.write_back()
        except BaseException:
            self._let_go()
            raise
        self.has_turn = True
        return True

    def _let_go(self) -> None:
        if self._turn:
            self._turn.release()
        self._turn, self.has_turn = None, False

    async def _look_for_damage(self) -> None:
        if await self._file.read(openings.ended):
            return
        if not await self._file.read(damage.looks_sound):
            await self._file.write(lambda db: damage.repair(db, self.path), persists=True)
        await self._file.write(statements.recount, persists=True)

    async def holder(self, now: float) -> str | None:
        # Idle processes ask often, and a read costs ten times as much as the counts at hand.
        if self.unfinished and await self._file.read(statements.ready_at) == 0.0:
            return await self._file.read(partial(openings.silent, now=now))
        return None

    async def tidy(self, now: float) -> list[Outcome]:
        left = partial(statements.anything_left, owner=self._owner, now=now)
        if not await self._file.read(left):
            return []
        return await self._file.write(
            lambda db: settling.recover(db, self._owner, now), persists=True
        )

    # -- what others do -------------------------------------------------------------------------

    def changed(self) -> bool:
        return self._file.changed()

    async def news(self, awaited: Collection[str]) -> list[Outcome]:
        def told(db: sqlite3.Connection) -> tuple[int, list[Outcome]]:
            last, references = statements.changes(db, self._heard)
            # After too long, the file has forgotten some changes: then ask for all.
            asked = awaited if references is None else dict.fromkeys(references)
            found = (statements.find(db, one) for one in asked if one in awaited)
            return last, [outcome for outcome in found if outcome and outcome.state.finished]

        self._heard, outcomes = await self._file.read(told)
        return outcomes

    # -- what SendQueue asks --------------------------------------------------------------------

    @property
    def away(self) -> bool:
        return self._opened is not None and self._opened.held

    @property
    def unfinished(self) -> int:
        return sum(waiting + sending for waiting, sending in self._lanes.values())

    @property
    def _lanes(self) -> dict[int, tuple[int, int]]:
        lanes: dict[int, tuple[int, int]] = self._file.glanced
        return lanes

    def waiting(self, priority: Priority) -> int:
        return self._lanes[priority][0]

    def add(self, entry: Entry) -> "asyncio.Future[Outcome | None]":
        now = self._file.wall_clock()
        return self._file.write(lambda db: statements.admit(db, entry, now))

    async def ready_at(self) -> float | None:
        return await self._file.read(statements.ready_at)

    async def claim(self, now: float) -> Claim | None:
        def claim(db: sqlite3.Connection) -> Claim | None:
            if not openings.claims(db, self._owner, now):
                raise OUTBOX.unusable(self.path, "another process took the turn from this one")
            return statements.claim(db, self._owner, now)

        return await self._file.write(claim, persists=True)

    async def put_back(self, claim: Claim, *, again: bool, not_before: float = 0.0) -> None:
        self._left = self._file.clock()
        put_back = partial(statements.put_back, claim=claim, again=again, not_before=not_before)
        await self._file.write(put_back, persists=True)

    async def settle(self, claim: Claim, outcome: Outcome, now: float) -> list[Outcome]:
        def settle(db: sqlite3.Connection) -> list[Outcome]:
            settled = settling.settle_claimed(db, claim, outcome, now)
            statements.forget_old(db, now, self._retention)
            return settled

        self._left = self._file.clock()
        return await self._file.write(settle, persists=True)

    async def keep(self, receipt: DeliveryReceipt, now: float) -> tuple[Outcome, bool] | None:
        keep = partial(_keep, receipt=receipt, now=now, retention=self._retention)
        return await self._file.write(keep)

    async def withdraw(self, outcome: Outcome, now: float) -> bool:
        return await self._file.write(lambda db: statements.withdraw(db, outcome, now))

    async def resolve(self, reference: str, sent: ResourceId | None, now: float) -> list[Outcome]:
        return await self._file.write(lambda db: settling.resolve(db, reference, sent, now))

    async def find(self, reference: str) -> Outcome:
        outcome = await self._file.read(lambda db: statements.find(db, reference))
        if outcome is None:
            raise KeyError(reference)
        return outcome

    async def outcomes(self, state: State | None) -> AsyncIterator[Outcome]:
        page = await self._file.read(partial(statements.page, state=state, after=0))
        while page:
            for _, outcome in page:
                yield outcome
            page = await self._file.read(partial(statements.page, state=state, after=page[-1][0]))

    # -- what a person asks ---------------------------------------------------------------------

    async def counts(self) -> Counter[State]:
        """Count the messages in each state."""
        return await self._file.read(statements.counts)

    async def messages(self, state: State | None = None) -> AsyncIterator[KeptMessage]:
        """Iterate over all stored messages, or those in one state, oldest first."""
        page = await self._file.read(partial(statements.kept_page, state=state, after=0))
        while page:
            for _, message in page:
                yield message
            page = await self._file.read(
                partial(statements.kept_page, state=state, after=page[-1][0])
            )

    async def at_work(self) -> tuple[str, float] | None:
        """Return who has the turn, and since when in seconds since 1970; None if nobody has it."""
        try:
            taken = not turn.LOCKS or turn.taken(self.path)
        except OSError as error:
            raise OUTBOX.unusable(self.path, str(error.strerror)) from error
        # The file still names a process that was killed while it had the turn.
        found = await self._file.read(openings.holder) if taken else None
        return found and (f"process {found[0]}", found[1])

    async def oldest(self, now: float) -> float | None:
        """Return since when the oldest message could leave, in seconds since 1970, or None."""
        return await self._file.read(partial(statements.oldest, now=now))

    async def deliveries(self) -> Counter[str]:
        """Count the messages by their furthest receipt."""
        return await self._file.read(settling.counts)

    async def awaited(self, now: float) -> int:
        """Count the messages of the last 24 hours whose final receipt may still come."""
        return await self._file.read(partial(settling.awaited, now=now))

    async def delivery(self, since: float, now: float) -> list[DeliveryCount]:
        return await self._file.read(partial(settling.delivery, since=since, now=now))

    async def perhaps_of(self, reference: str) -> list[DeliveryReceipt]:
        """List receipts that may belong to an unknown message, if that is not certain."""
        return await self._file.read(partial(settling.perhaps_of, reference=reference))

    async def key(self) -> bytes:
        """Return a secret of this file. Hashes keyed with it are meaningless without the file."""
        return await self._file.read(statements.key)

    async def forget(self) -> int:
        """
        Replace the numbers and texts of finished messages by keyed hashes; return how many.

        Their outcomes remain, and their references are still recognised. The key is in the file:
        anyone who has the file can still check whether a guessed number and text were sent.

        Raises:
            OutboxUnusable: texts may remain in the log beside the file. Call it again.
        """
        forgotten = await self._file.write(partial(statements.forget_content, now=time.time()))
        # What was overwritten in the file is still in the log beside it.
        try:
            await self._file.empty_log()
        except OutboxUnusable as unusable:
            unusable.add_note("Texts may remain in the log beside the file: forget again.")
            raise
        return forgotten


def _end(file: "Commits", owner: str, left_at: float | None, db: sqlite3.Connection) -> None:
    if not file.damaged:
        openings.end(db, owner, left_at)


def _keep(
    db: sqlite3.Connection, receipt: DeliveryReceipt, now: float, retention: float
) -> tuple[Outcome, bool] | None:
    received.forget_old(db, now, retention)
    return settling.keep(db, receipt, now)
