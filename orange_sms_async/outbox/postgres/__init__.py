"""An outbox in PostgreSQL. Processes on any machine may open it, and one at a time sends."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from datetime import timedelta
from functools import partial
from typing import TypeVar

from orange_sms_async.errors import OutboxUnusable
from orange_sms_async.messages import ResourceId
from orange_sms_async.outbox import Claim, Entry, KeptMessage
from orange_sms_async.outbox.postgres import forgetting, matching, opening, queries
from orange_sms_async.outbox.postgres.address import Address
from orange_sms_async.outbox.postgres.batch import Batch
from orange_sms_async.outbox.postgres.connecting import (
    AwayError,
    Connection,
    Connections,
    boot_time,
)
from orange_sms_async.outbox.postgres.news import News
from orange_sms_async.outbox.postgres.noted import PostgresNotes
from orange_sms_async.outbox.postgres.sending import Sending
from orange_sms_async.outbox.postgres.submission import check_storable, submission
from orange_sms_async.outbox.summary import DeliveryCount
from orange_sms_async.outcomes import Outcome, Priority, State
from orange_sms_async.receipts import REPORTED_WITHIN, DeliveryReceipt

__all__ = ["PostgresOutbox", "submission"]

_T = TypeVar("_T")
_PATIENCE = 5.0  # seconds that a caller waits for the database to come back
_COUNT_EVERY = 5.0  # seconds between two counts of what waits
_FORGET_EVERY = 60.0  # seconds


class PostgresOutbox:
    """
    The messages of one account in a database, for any number of processes on any machines.

    `orange-sms outbox migrate DSN` creates its tables. Each process has a few connections. A pooler
    in transaction mode may stand in front. Keep the machines' clocks in step (NTP): the process
    that sends compares your dates with its own clock.

    Args:
        dsn: of the database, "postgresql://user@host/database", with the parameters of libpq, such
            as sslmode=verify-full for TLS.
        account: the account's name, as given to `migrate`. Each account has its own turn and rate.

    Attributes:
        rate: messages a second, as the account's row says; known once it is open.

    Raises:
        ValueError: the DSN does not begin with postgresql://.
    """

    durable = True
    look_every = 0.25
    sent_lately = False  # a turn begins a second after the last departure in the turn before

    def __init__(self, dsn: str, *, account: str = "default") -> None:
        self._address = self.place = Address(dsn, account)
        self._db = Connections(self._address)
        self._fence, self._lease = 1.0, 10.0
        self._adding = Batch[Entry, Outcome | None](
            lambda entries, begun: self._db.until_done(
                lambda db, repeated: queries.add(db, self._account, entries, repeated=repeated),
                _PATIENCE,
                begun=begun,
            )
        )
        self._sending: Sending | None = None
        self._account: int = 0
        self.notes = PostgresNotes(self._db, lambda: self._account)
        self.rate: float | None = None
        self._waiting, self._on_the_wire = Counter[Priority](), 0

    def __repr__(self) -> str:
        return f"<PostgresOutbox: {self._address.name}>"

    # -- opening and closing --------------------------------------------------------------------

    async def open(self, now: float, retention: timedelta) -> None:
        # If a message were forgotten before its receipts came, they might be taken for another's.
        self._retention = max(retention.total_seconds(), REPORTED_WITHIN)
        self._news, self._forget_at, self._count_at = News(), -math.inf, -math.inf
        await self._db.open()
        try:
            found = await opening.look(self._db, self._address.account)
            self._account, self.rate = found.account, found.rate
            await self._count()
        except BaseException as error:
            await self._db.aclose()
            if isinstance(error, AwayError):  # reached a moment ago, and lost again
                raise OutboxUnusable(f"{self._address.name}: it cannot be reached") from None
            raise
        self._sending = Sending(self._db, found, self._fence, self._lease)

    async def aclose(self) -> None:
        if self._sending is None:
            return
        await self._adding.finish()
        await self._sending.aclose()
        await self._db.aclose()

    # -- the turn -------------------------------------------------------------------------------

    @property
    def has_turn(self) -> bool:
        return self._sending is not None and self._sending.has_turn

    async def take_turn(self, now: float) -> bool:
        return await self._opened.take_turn(now)

    async def holder(self, now: float) -> str | None:
        return self._opened.silent

    async def tidy(self, now: float) -> list[Outcome]:
        try:
            changed = await self._opened.tidy(now)
            settled = await self._changed(changed, now) if changed else []
            await self._count()
            if boot_time() >= self._forget_at:
                self._forget_at = boot_time() + _FORGET_EVERY
                before = max(now - self._retention, 0.0)  # an endless retention gives no date
                forget = partial(
                    forgetting.forget_old, account=self._account, before=before, now=now
                )
                await self._db.once(forget)
        except AwayError:
            return []
        return settled

    @property
    def guard(self) -> float | None:
        """
        How much further apart slots are than the rate asks, as the previous sender learned.

        None if there was no sender. The process with the turn sets it to what it learns.
        """
        return self._opened.guard

    @guard.setter
    def guard(self, guard: float | None) -> None:
        self._opened.guard = guard

    @property
    def _opened(self) -> Sending:
        if self._sending is None:
            raise OutboxUnusable(f"{self._address.name}: not open")
        return self._sending

    async def _changed(self, references: list[str], now: float) -> list[Outcome]:
        """Return what was settled. A receipt may replace the answer that never came."""
        find = partial(queries.find_all, account=self._account, references=references)
        found = {each.reference: each for each in await self._do(find) if each.state.finished}
        for reference in [each.reference for each in found.values() if each.state is State.UNKNOWN]:
            adopted = await self._do(
                opening.in_transaction(
                    partial(matching.adopt_for, account=self._account, reference=reference, now=now)
                )
            )
            found |= {each.reference: each for each in adopted}
        self._count_at = -math.inf
        return list(found.values())

    async def _count(self) -> None:
        if (began := boot_time()) < self._count_at:
            return
        count = partial(queries.count_unfinished, account=self._account)
        self._waiting, self._on_the_wire = await self._db.once(count)
        # A million rows take a while to count.
        self._count_at = boot_time() + max(_COUNT_EVERY, 50 * (boot_time() - began))

    # -- what others do -------------------------------------------------------------------------

    def changed(self) -> bool:
        return True  # only the database knows

    async def news(self, awaited: Collection[str]) -> list[Outcome]:
        asked = self._news.to_ask(awaited)
        find = partial(queries.find_all, account=self._account, references=asked)
        try:
            await self._count()
            return self._news.new(await self._db.once(find)) if asked else []
        except AwayError:
            return []

    @property
    def away(self) -> bool:
        """Whether the database could not be reached when last tried."""
        return self._db.away

    # -- in and out -----------------------------------------------------------------------------

    @property
    def unfinished(self) -> int:
        return self._waiting.total() + self._on_the_wire

    def waiting(self, priority: Priority) -> int:
        return self._waiting[priority]

    def add(self, entry: Entry) -> asyncio.Future[Outcome | None]:
        # Requested at once: a queue that closes before the task begins waits for it.
        check_storable(entry)
        return asyncio.ensure_future(self._added(entry, self._adding.ask(entry)))

    async def _added(self, entry: Entry, keeping: asyncio.Future[Outcome | None]) -> Outcome | None:
        known = await keeping
        if known is None:
            self._waiting[entry.priority] += 1
            self._opened.more = self._opened.more or not entry.not_before
        lane = None if entry.not_before else entry.priority
        self._news.submitted(entry.message.reference, lane)
        return known

    async def ready_at(self) -> float | None:
        if self._opened.has_ahead or self._opened.more:
            self._opened.more = False  # only the last claim saw it: the next call asks again
            return 0.0
        return await self._db.until_done(lambda db, _: opening.ready_at(db, self._account))

    async def claim(self, now: float) -> Claim | None:
        claim = await self._opened.claim(now)
        if claim is not None:
            self._waiting[claim.entry.priority] -= 1
            self._on_the_wire += 1
        return claim

    async def put_back(self, claim: Claim, *, again: bool, not_before: float = 0.0) -> None:
        if await self._opened.put_back(claim, again=again, not_before=not_before):
            self._waiting[claim.entry.priority] += 1
            self._on_the_wire -= 1

    # -- their outcomes ------------------------------------------------------------------------

    async def settle(self, claim: Claim, outcome: Outcome, now: float) -> list[Outcome]:
        was, settled, look = await self._opened.settle(claim, outcome, now)
        if was == State.SENDING:
            self._on_the_wire -= 1
        elif was == State.QUEUED:
            self._waiting[claim.entry.priority] -= 1
        if not look:
            return settled
        adopted = await self._do(
            opening.in_transaction(
                partial(matching.adopt, account=self._account, number=claim.message.to, now=now)
            )
        )
        others = {changed.reference: changed for changed in adopted}
        return [others.pop(outcome.reference, *settled), *others.values()]

    async def keep(self, receipt: DeliveryReceipt, now: float) -> tuple[Outcome, bool] | None:
        return await self._do(
            opening.in_transaction(
                partial(matching.keep, account=self._account, receipt=receipt, now=now)
            )
        )

    async def withdraw(self, outcome: Outcome, now: float) -> bool:
        lane, withdrawn = await self._db.until_done(
            lambda db, repeated: queries.withdraw(
                db, self._account, outcome, now, repeated=repeated
            ),
            _PATIENCE,
        )
        if lane is not None:
            self._waiting[lane] -= 1
            self._opened.more = False
        return withdrawn

    async def resolve(self, reference: str, sent: ResourceId | None, now: float) -> list[Outcome]:
        outcomes = await self._do(
            opening.in_transaction(
                partial(
                    matching.resolve, account=self._account, reference=reference, sent=sent, now=now
                )
            )
        )
        self._opened.begin_anew()
        self._count_at = -math.inf
        await self._do(lambda _: self._count())
        return outcomes

    async def find(self, reference: str) -> Outcome:
        find = partial(matching.find, account=self._account, reference=reference)
        outcome = await self._do(find)
        if outcome is None:
            raise KeyError(reference)
        return outcome

    async def outcomes(self, state: State | None) -> AsyncIterator[Outcome]:
        async for message in self.messages(state):
            yield message.outcome

    # -- what a person asks ---------------------------------------------------------------------

    async def counts(self) -> Counter[State]:
        """Count the messages in each state."""
        return await self._do(partial(queries.counts, account=self._account))

    async def messages(self, state: State | None = None) -> AsyncIterator[KeptMessage]:
        """Iterate over all stored messages, or those in one state, oldest first."""
        after = 0
        while page := await self._do(
            partial(queries.page, account=self._account, state=state, after=after)
        ):
            for after, message in page:  # noqa: B007 -- the last one is where the next page begins
                yield message

    async def at_work(self) -> tuple[str, float] | None:
        """Return who has the turn, and since when in seconds since 1970; None if nobody has it."""
        return await self._do(partial(opening.at_work, account=self._account))

    async def oldest(self, now: float) -> float | None:
        """Return since when the oldest message could leave, in seconds since 1970, or None."""
        return await self._do(partial(queries.oldest, account=self._account, now=now))

    async def deliveries(self) -> Counter[str]:
        """Count the messages by their furthest receipt."""
        return await self._do(partial(queries.deliveries, account=self._account))

    async def awaited(self, now: float) -> int:
        """Count the messages of the last 24 hours whose final receipt may still come."""
        return await self._do(partial(queries.awaited, account=self._account, now=now))

    async def delivery(self, since: float, now: float) -> list[DeliveryCount]:
        summarise = partial(queries.delivery, account=self._account, since=since, now=now)
        return await self._do(summarise)

    async def perhaps_of(self, reference: str) -> list[DeliveryReceipt]:
        """List receipts that may belong to an unknown message, if that is not certain."""
        return await self._do(
            partial(matching.perhaps_of, account=self._account, reference=reference)
        )

    async def key(self) -> bytes:
        """Return a secret of this outbox. Hashes keyed with it are meaningless without it."""
        return await self._do(partial(queries.key, account=self._account))

    async def forget(self) -> int:
        """
        Replace the numbers and texts of finished messages by keyed hashes; return how many.

        Their outcomes remain, and their references are still recognised. The key is in the
        database. What was overwritten stays there until the next vacuum, and stays in backups.
        """
        forget = partial(forgetting.forget_content, account=self._account, now=time.time())
        return await self._do(forget)

    async def _do(self, operation: Callable[[Connection], Awaitable[_T]]) -> _T:
        """Run an operation for a caller that waits for it."""
        return await self._db.until_done(lambda db, _: operation(db), _PATIENCE)
