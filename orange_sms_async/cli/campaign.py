"""A campaign: rows in, results and receipts out, in bounded memory."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial

import anyio
import attrs

from orange_sms_async import (
    Client,
    NotSent,
    OrangeSMSError,
    OutboundMessage,
    OutboxUnusable,
    Priority,
    ResourceId,
    SendQueue,
    SendReport,
)
from orange_sms_async.cli.csv_rows import Row
from orange_sms_async.cli.deliveries import Deliveries
from orange_sms_async.cli.exits import ExitCode
from orange_sms_async.cli.gating import Rules
from orange_sms_async.cli.place import DurableOutbox
from orange_sms_async.cli.results import Result, Tally
from orange_sms_async.cli.resume import RETENTION
from orange_sms_async.events import Admitted, Answered, Event, GoingOn, PutBack, Waiting
from orange_sms_async.sendqueue import Bulk

_WINDOW = 500  # rows between the file and the results


@attrs.define(eq=False)
class Campaign:
    """
    Sends the messages of rows through a queue.

    Attributes:
        settled: called once for each row, with its result.
        patience: seconds without any row settled, after which the campaign gives up.
        outbox: keeps waiting messages, so that the campaign can resume; None without one.
        rules: checked for each message.
        deliveries: the endpoint for receipts; None without one.
        trouble: why nothing gets through now or, once the campaign has ended, at its end.
        held_until: when the last held message may leave, in seconds since 1970.
        ended: the exit code of a campaign that stopped before its last row; else None.
    """

    rows: Iterable[Row]
    client: Client
    settled: Callable[[Result], None]
    patience: float
    outbox: DurableOutbox | None = None
    rules: Rules = attrs.field(factory=Rules)
    deliveries: Deliveries | None = None
    queue: SendQueue = attrs.field(init=False)
    tally: Tally = attrs.field(factory=Tally, init=False)
    trouble: OrangeSMSError | None = attrs.field(default=None, init=False)
    held_until: float = attrs.field(default=0.0, init=False)
    ended: ExitCode | None = attrs.field(default=None, init=False)
    why: str = attrs.field(default="", init=False)
    _receipts: anyio.CancelScope = attrs.field(factory=anyio.CancelScope, init=False)
    _under_way: dict[str, Row] = attrs.field(factory=dict, init=False)
    _giving_up: asyncio.TimerHandle = attrs.field(init=False)
    _stopping: asyncio.Task[None] | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        exceeded = partial(self._stop, ExitCode.SOME_FAILED)
        self.queue = SendQueue(
            self.client,
            outbox=self.outbox,
            gate=self.rules.gate(self._others_on_the_wire, exceeded),
            retention=RETENTION,
            on_event=self._hear,
        )

    async def run(self) -> None:
        """Send every row and whatever else waits in the outbox; once stopped, list the rest."""
        self._giving_up = self._out_of_patience()
        try:
            withdraw = None if self.outbox else self.queue.withdraw
            async with Bulk(self._messages(), _WINDOW, self._submit, withdraw) as reports:
                try:
                    async for report in reports:
                        self._report(report)
                except Exception:
                    # Closed first: leaving a bulk early withdraws what waits, which must stay.
                    await self.queue.aclose(drain=False)
                    raise
            with self._receipts:
                if self.deliveries:
                    await self.deliveries.come()
            # Leaving the queue's block would not send waiting messages of no row.
            await self.queue.aclose(drain=True)
        finally:
            self._giving_up.cancel()

    def interrupt(self) -> None:
        """Send nothing more, because the user asked to stop."""
        self._stop(ExitCode.INTERRUPTED, "interrupted before it was sent")

    @property
    def asked(self) -> int:
        """Messages sent to Orange since the start, including those of no row."""
        counted = self.queue.statistics()
        return counted.sent + counted.failed + counted.unknown

    @property
    def waiting(self) -> int:
        """Messages waiting in the outbox, including those of no row."""
        return sum(self.queue.statistics().waiting.values())

    @property
    def exit_code(self) -> ExitCode:
        """What to tell the shell."""
        if self.ended in (None, ExitCode.SOME_FAILED):
            return self.tally.exit_code() or self.ended or ExitCode.ALL_ACCEPTED
        return self.ended

    async def _submit(self, message: OutboundMessage) -> asyncio.Future[ResourceId]:
        row = self._under_way[message.reference]
        return await self.queue.submit(
            message,
            priority=Priority.BULK,
            not_before=row.not_before,
            expires_at=row.expires_at,
        )

    def _hear(self, event: Event) -> None:
        if self.ended is not None:
            return  # the trouble that ended it is shown at the end
        match event:
            case Waiting(error=error) | Answered(error=NotSent() as error):
                self.trouble = error
            case Answered() | GoingOn():
                self.trouble = None
            case PutBack(not_before=date) if date:
                self.trouble = None  # only the rules hold it back
                self.held_until = max(self.held_until, date)
            case Admitted(not_before=date):
                self.held_until = max(self.held_until, date)

    def _others_on_the_wire(self) -> bool:
        return self.queue.statistics().in_flight > 1

    def _out_of_patience(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(self.patience, self._give_up)

    def _give_up(self) -> None:
        if self.trouble:
            self._stop(ExitCode.UNREACHABLE, f"gave up: {self.trouble}")
        else:
            self._giving_up = self._out_of_patience()

    def _stop(self, ended: ExitCode, why: str) -> None:
        if self.ended is None:
            self.ended, self.why = ended, why
            self._receipts.cancel()
            # A task of its own: meanwhile, requests on the wire finish and are reported.
            self._stopping = asyncio.create_task(self.queue.aclose(drain=False))

    async def _messages(self) -> AsyncIterator[OutboundMessage]:
        for row in self.rows:
            if row.message is None:
                self._settle(Result(row, error=row.error))
                # A long run of bad rows must not keep the others waiting.
                await asyncio.sleep(0)
            else:
                self._under_way[row.message.reference] = row
                yield row.message

    def _report(self, report: SendReport) -> None:
        row = self._under_way.pop(report.message.reference)
        result = Result(row, report.resource_id, report.error, self.why, self.outbox is not None)
        self._settle(result)
        if isinstance(result.cause, OutboxUnusable):
            self._stop(ExitCode.USAGE, str(result.cause))

    def _settle(self, result: Result) -> None:
        self.tally.add(result)
        self._giving_up.cancel()
        self._giving_up = self._out_of_patience()
        self.settled(result)
