"""`orange-sms work`: a process that only sends what waits in an outbox."""

import asyncio
import contextlib
import datetime as dt
import json
import socket
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, NoReturn

import attrs
import typer

from orange_sms_async import (
    Client,
    OrangeSMSError,
    OutboxUnusable,
    Outcome,
    QueueStatistics,
    SendQueue,
    State,
)
from orange_sms_async.cli import config
from orange_sms_async.cli.deliveries import ReceiptsPort, listens, receipts_taken
from orange_sms_async.cli.exits import ExitCode, end_with, interrupts_call, stop_with
from orange_sms_async.cli.gating import GateOption
from orange_sms_async.cli.metrics import MetricsPort, serve_metrics, units_noted
from orange_sms_async.cli.options import Debug, Rate, Secret
from orange_sms_async.cli.place import Account, DurableOutbox, OutboxPlace, Place, enter
from orange_sms_async.cli.words import echo
from orange_sms_async.gates import Gate

if TYPE_CHECKING:
    from orange_sms_async.telemetry.prometheus import QueueCollector

_EVERY = 60.0  # seconds between two lines
_LOOK = 0.25  # seconds between two looks at the queue
_TOLD = {
    "accepted": State.SENT,
    "failed": State.FAILED,
    "unknown": State.UNKNOWN,
    "expired": State.EXPIRED,
}


def work(
    place: OutboxPlace,
    *,
    account: Account = "default",
    rate: Rate = 5.0,
    gate: GateOption = None,
    until_empty: Annotated[
        bool,
        typer.Option(
            "--until-empty", help="Stop once no message waits, even if another process sends them."
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write each line as a JSON object, for programs.")
    ] = False,
    receipts: ReceiptsPort = None,
    secret: Secret = None,
    metrics: MetricsPort = None,
    debug: Debug = False,
) -> None:
    """
    Send the messages that wait in an outbox, and new ones as they come, until told to stop.

    Use it under systemd or in a container, beside applications that only put messages into the
    file. Any number of processes may have the file open: one sends, the others stand by. The file
    is created if there is none. Finished messages are deleted after 30 days.

    Once a minute, a line counts the messages settled here and those waiting. When nothing can
    leave, a line says why at once. A lost connection or an outage of Orange does not stop the
    command. SIGTERM and Ctrl-C finish the requests in progress and leave the rest in the file; a
    second signal stops at once.

    Exit codes. If several apply, it is the first of 2, 3, 130, 5, 1.

    0: told to stop or, with --until-empty, nothing waits any more.

    1: with --until-empty, some messages were refused, withheld or expired here.

    2: wrong usage, or a file that cannot be read or written.

    3: wrong credentials or no access; the rest waits.

    5: with --until-empty, it is unknown whether some messages were sent.

    130: with --until-empty, interrupted.
    """
    listener = None if receipts is None else listens(receipts, secret)
    tell = _as_json if as_json else _in_words
    shift = Shift(config.client(rate), place.of(account), tell, gate)
    if metrics is not None:
        shift.collector = serve_metrics(shift.queue, metrics)
    try:
        asked = asyncio.run(_work(shift, listener, secret, until_empty, quiet=as_json))
    except OutboxUnusable as error:
        stop_with(str(error))
    except KeyboardInterrupt:  # before it began
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    if stopped := shift.look().stopped:
        _end(stopped, shift.look().cause, debug=debug)
    if until_empty:
        raise typer.Exit(ExitCode.INTERRUPTED if asked else shift.exit_code)


def _end(stopped: str, cause: BaseException | None, *, debug: bool) -> NoReturn:
    if isinstance(cause, OrangeSMSError) and not isinstance(cause, OutboxUnusable):
        end_with(cause, debug=debug)
    stop_with(str(cause) if isinstance(cause, OutboxUnusable) else stopped)


@attrs.frozen
class Told:
    """
    The content of one line.

    Attributes:
        counts: messages settled here since the previous line.
        now: the queue's statistics.
        over: whether it is the last line.
    """

    counts: Counter[State]
    now: QueueStatistics
    over: bool

    @property
    def waiting(self) -> int:
        return sum(self.now.waiting.values())

    def line(self) -> str:
        accepted, failed, unknown, expired = (self.counts[state] for state in _TOLD.values())
        return (
            f"Accepted: {accepted}, failed: {failed}, unknown: {unknown}, expired: {expired}; "
            f"waiting: {self.waiting}.{self._why}"
        )

    @property
    def _why(self) -> str:
        if self.over or not self.waiting:
            return ""
        if self.now.waiting_words:
            return f" Nothing is leaving: {self.now.waiting_words}."
        return "" if self.now.has_turn else " Another process is sending."

    def json(self) -> str:
        now = self.now
        told: dict[str, object] = {"at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds")}
        told |= {name: self.counts[state] for name, state in _TOLD.items()}
        told["waiting"] = {lane.name.lower(): many for lane, many in now.waiting.items()}
        told |= {"has_turn": now.has_turn, "waiting_for": now.waiting_for}
        return json.dumps(told | {"waiting_words": now.waiting_words}, ensure_ascii=False)


def _in_words(told: Told) -> None:
    echo(told.line())


def _as_json(told: Told) -> None:
    typer.echo(told.json())


@attrs.define(eq=False)
class Shift:
    """
    Sends what waits in an outbox, and reports it.

    Attributes:
        tell: called with the content of each line.
        gate: asked before a message leaves; None lets everything pass.
        collector: of the metrics; None if they are not served.
    """

    client: Client
    place: Place
    tell: Callable[[Told], object]
    gate: Gate | None = None
    outbox: DurableOutbox = attrs.field(init=False)
    queue: SendQueue = attrs.field(init=False)
    collector: "QueueCollector | None" = attrs.field(default=None, init=False)
    _counts: Counter[State] = attrs.field(factory=Counter, init=False)
    _all: Counter[State] = attrs.field(factory=Counter, init=False)
    _unknown: set[str] = attrs.field(factory=set, init=False)
    _why: str | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.outbox = self.place.outbox()
        self.queue = SendQueue(
            self.client, outbox=self.outbox, gate=self.gate, on_outcome=self._count
        )

    async def run(self, asked: asyncio.Event, *, until_empty: bool) -> None:
        """Report until asked to stop, the queue stops or, if wanted, nothing is left."""
        loop = asyncio.get_running_loop()
        told_at = loop.time()
        while not (asked.is_set() or self.look().stopped or (until_empty and self._is_empty())):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await asked.wait()
            if self._begins_to_wait() or loop.time() - told_at >= _EVERY:
                self.say()
                told_at = loop.time()

    def look(self) -> QueueStatistics:
        return self.queue.statistics()

    def say(self, *, over: bool = False) -> None:
        """Report what was settled since the last call."""
        now, self._counts, counts = self.look(), Counter(), self._counts
        self._why = now.waiting_words
        self.tell(Told(counts, now, over))

    @property
    def exit_code(self) -> ExitCode:
        """The exit code with --until-empty."""
        if self._unknown:
            return ExitCode.SOME_UNKNOWN
        failed = self._all[State.FAILED] + self._all[State.EXPIRED]
        return ExitCode.SOME_FAILED if failed else ExitCode.ALL_ACCEPTED

    def _is_empty(self) -> bool:
        return not self.outbox.unfinished

    def _begins_to_wait(self) -> bool:
        # Once per reason, however often Orange comes and goes.
        return self.look().waiting_words not in (None, self._why)

    def _count(self, outcome: Outcome) -> None:
        self._counts[outcome.state] += 1
        self._all[outcome.state] += 1
        if outcome.state is State.UNKNOWN:
            self._unknown.add(outcome.reference)
        else:  # a receipt came
            self._unknown.discard(outcome.reference)


async def _work(
    shift: Shift,
    listener: socket.socket | None,
    secret: str | None,
    until_empty: bool,
    *,
    quiet: bool,
) -> bool:
    """Send until the end; return whether the user asked to stop."""
    asked = asyncio.Event()

    def ask() -> None:
        echo("Stopping: requests in progress finish first. Ctrl-C again stops at once.", err=quiet)
        asked.set()

    with interrupts_call(ask):
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(shift.client)
            await enter(stack, shift.queue)
            if shift.collector:
                await stack.enter_async_context(units_noted(shift.client, shift.collector))
            echo(f"Sending what waits in {shift.place} (Ctrl-C stops it).", err=quiet)
            if listener:
                taken = receipts_taken(shift.queue, listener, secret)
                address = await stack.enter_async_context(taken)
                echo(f"Receiving receipts on {address}", err=quiet)
            await shift.run(asked, until_empty=until_empty)
        shift.say(over=True)
    return asked.is_set()
