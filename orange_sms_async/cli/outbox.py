"""`orange-sms outbox`: look into an outbox, or change it by hand."""

import asyncio
import contextlib
import datetime as dt
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Sequence,
)
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from orange_sms_async import (
    DeliveryReceipt,
    InvalidMessage,
    OutboxUnusable,
    Outcome,
    ResourceId,
    SqliteOutbox,
    State,
)
from orange_sms_async.cli.exits import ExitCode, stop_with
from orange_sms_async.cli.health import Health, messages_in
from orange_sms_async.cli.place import Account, DurableOutbox, OutboxPlace, Place, check_file
from orange_sms_async.cli.results import PrivateCsv, UnwritableFileError
from orange_sms_async.cli.resume import look_into_outbox, open_outbox
from orange_sms_async.cli.stdout import console
from orange_sms_async.messages import mask
from orange_sms_async.outbox import KeptMessage
from orange_sms_async.outbox.sqlite import copying, turn
from orange_sms_async.outbox.sqlite.receiptfile import ReceiptFile

_MOST_ROWS = 200  # on a terminal: all are read before the first is shown
_SHORT = 24  # characters
_AT_ONCE = 500  # receipts that are imported together
_EXPORTED = ("reference", "number", "state", "resource_id", "error", "reason", "delivery")
_Row = tuple[str, ...]
_Received = tuple[DeliveryReceipt, float]
_Action = Callable[[DurableOutbox], Awaitable[None]]
_Opened = Callable[[DurableOutbox], contextlib.AbstractAsyncContextManager[object]]

HELP = """
Look into an outbox, or change it. Nothing is sent.

Queues and campaigns can keep running. Messages that were being sent when the last of them ended
are unknown: they may have been sent.

Exit codes: 0, or 2 if the file is missing or is not an outbox, or for wrong usage.
"""


def show(
    place: OutboxPlace,
    *,
    account: Account = "default",
    state: Annotated[
        State | None, typer.Option(help="List the messages in this state, with numbers masked.")
    ] = None,
) -> None:
    """
    Show who sends, what waits and for how long, and how many messages are in each state.

    With --state, list the messages in one state. Nothing is changed, and queues can keep running:
    "sending" means that the request is in progress.

    A receipt settles an unknown message if it can only belong to that message. If it may belong to
    several, --state unknown lists its resource id after "perhaps".
    """
    action = _count if state is None else partial(_list, state=state)
    _do(place.of(account), action, opened=look_into_outbox)


def resolve(
    place: OutboxPlace,
    reference: Annotated[
        str, typer.Argument(metavar="REFERENCE", help="The reference of an unknown message.")
    ],
    *,
    account: Account = "default",
    sent: Annotated[
        str | None,
        typer.Option(metavar="RESOURCE_ID", help="It was sent, with this resource id."),
    ] = None,
    not_sent: Annotated[
        bool, typer.Option("--not-sent", help="It was not sent, and must be sent.")
    ] = False,
) -> None:
    """
    Settle an unknown message once you know what happened to it: with --sent or --not-sent.

    A message that was not sent waits again: the next queue or campaign with this outbox sends it.
    """
    if sent == "":
        raise typer.BadParameter("may not be empty", param_hint="--sent")
    if sent is not None and not_sent:
        raise typer.BadParameter("give only one of them", param_hint="--sent, --not-sent")
    if sent is None and not not_sent:
        raise typer.BadParameter(
            "needs either --sent RESOURCE_ID or --not-sent", param_hint="REFERENCE"
        )
    if not f"{reference}{sent}".isprintable():
        raise typer.BadParameter(
            "contains an unprintable character", param_hint="REFERENCE, --sent"
        )
    found = place.of(account)
    _do(found, partial(_resolve, place=found, reference=reference, sent=sent))


def export(
    place: OutboxPlace,
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="A new file.")],
    *,
    account: Account = "default",
) -> None:
    """Write all messages, with their numbers, to a CSV file that only you can read."""
    _do(place.of(account), partial(_export, to=file))


def import_(
    place: OutboxPlace,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="RECEIPTS.db", help="The file given to `orange-sms receipts --store`."
        ),
    ],
    *,
    account: Account = "default",
) -> None:
    """
    Import the receipts that `orange-sms receipts` kept.

    That command can keep running. A receipt imported twice changes nothing.
    """
    _do(place.of(account), partial(_import, source=source))


def forget(place: OutboxPlace, *, account: Account = "default") -> None:
    """
    Delete the numbers and texts of finished messages.

    A keyed hash of number and text is kept, so that a campaign run again still recognises its
    rows. Unknown messages keep their number and text until they are settled.
    """
    _do(place.of(account), _forget)


def backup(
    place: OutboxPlace,
    copy: Annotated[Path, typer.Argument(metavar="COPY.db", help="A new file.")],
) -> None:
    """
    Copy the outbox to a new file that only you can read. Queues can keep running.

    The messages waiting in the copy are sent from the original. So the copy can only be opened
    with `orange-sms outbox restore`, which makes them unknown.
    """
    path = place.file_alone()
    check_file(path)
    with _ending():
        copying.backup(path, copy)
    console().print(f"{path} was copied to {copy}, including numbers and texts.")


def restore(place: OutboxPlace) -> None:
    """
    Make an outbox from a copy, or from a file that lost its last changes. Nothing is sent twice.

    A waiting message that may have been sent since then becomes unknown, until you settle it. A
    message scheduled for later still waits.
    """
    path = place.file_alone()
    check_file(path)
    with _ending():
        if turn.taken(path):
            raise OutboxUnusable(f"outbox {path}: a queue is sending from it: stop it first")
        doubted = asyncio.run(_restored(path))
    screen = console()
    screen.print(f"{path} was restored. Messages now unknown: {doubted}.")
    if doubted:
        screen.print(f"`orange-sms outbox show {path} --state unknown` lists them.")


async def _restored(path: Path) -> int:
    outbox = SqliteOutbox(path, restore=True)
    async with open_outbox(outbox) as settled:
        unknown = (outcome for outcome in settled if outcome.state is State.UNKNOWN)
        return len(outbox.doubted) + sum(1 for _ in unknown)


def _do(place: Place, action: _Action, opened: _Opened = open_outbox) -> None:
    """Do one thing with an outbox, or end with a one-line error."""
    place.check_exists()
    with _ending():
        asyncio.run(_within(place.outbox(), action, opened))


@contextlib.contextmanager
def _ending() -> Iterator[None]:
    try:
        yield
    except (OutboxUnusable, UnwritableFileError, InvalidMessage) as error:
        stop_with(str(error))
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.INTERRUPTED) from None


async def _within(outbox: DurableOutbox, action: _Action, opened: _Opened) -> None:
    async with opened(outbox):
        await action(outbox)


async def _count(outbox: DurableOutbox) -> None:
    health, screen = await Health.of(outbox), console()
    if screen.is_terminal:
        for line in health.lines():
            screen.print(line)
    rows = [
        (str(state), str(health.counts[state]))
        for state in State
        if state is not State.SENDING or health.counts[state]  # then a queue is at work
    ]
    rows += [(status, str(times)) for status, times in (await outbox.deliveries()).items()]
    _show_rows(rows, screen, "state", "messages")
    if not screen.is_terminal:
        _show_rows(health.rows(), screen)


async def _list(outbox: DurableOutbox, state: State) -> None:
    screen = console()
    if not screen.is_terminal:
        async for row in _listed(outbox, state):
            _show_rows([row], screen)
        return
    total = (await Health.of(outbox)).counts[state]
    async with contextlib.aclosing(_listed(outbox, state)) as listed:
        rows = [row async for row in _first(_MOST_ROWS, listed)]
    if rows:
        _show_rows(rows, screen, "reference", "number", "since", "reason")
    else:
        screen.print(f"No message is {state}.")
    if total > len(rows):
        screen.print(f"... and {total - len(rows)} more. In a pipe, all are listed.")


def _show_rows(rows: Sequence[Sequence[str]], screen: Console, *columns: str) -> None:
    """Show a table to a person, and lines with tabs to a program."""
    if not screen.is_terminal:
        for row in rows:
            typer.echo("\t".join(row))
        return
    table = Table(box=None, pad_edge=False)
    for column, cells in zip(columns, zip(*rows, strict=True), strict=True):
        # Short cells stay in one piece: a reference may be copied.
        table.add_column(column, overflow="fold", no_wrap=max(map(len, cells)) <= _SHORT)
    for row in rows:
        table.add_row(*row)
    screen.print(table, soft_wrap=False)


async def _first(most: int, rows: AsyncIterator[_Row]) -> AsyncIterator[_Row]:
    for _ in range(most):
        try:
            yield await anext(rows)
        except StopAsyncIteration:
            return


async def _listed(outbox: DurableOutbox, state: State) -> AsyncGenerator[_Row, None]:
    async for message in messages_in(outbox, state):
        outcome = message.outcome
        reason = "; ".join([str(outcome.error or ""), *await _perhaps(outbox, outcome)])
        cells = outcome.reference, _number(message), _since(message), reason
        # A reference or Orange's words may hold a line break, and this is one line.
        yield tuple(" ".join(cell.split()) for cell in cells)


async def _perhaps(outbox: DurableOutbox, outcome: Outcome) -> list[str]:
    """Say which receipts may be an unknown message's, for the person who settles it."""
    if outcome.state is not State.UNKNOWN:
        return []
    receipts = await outbox.perhaps_of(outcome.reference)
    return [f"perhaps {receipt.resource_id}, {receipt.status}" for receipt in receipts]


def _number(message: KeptMessage) -> str:
    return "forgotten" if message.to is None else mask(message.to)


def _since(message: KeptMessage) -> str:
    since = message.finished_at
    if since is None and message.outcome.state in (State.SENDING, State.UNKNOWN):
        since = message.attempted_at
    if since is None:
        return ""
    at = dt.datetime.fromtimestamp(since, dt.UTC).astimezone()
    return at.strftime("%Y-%m-%d %H:%M")


async def _resolve(outbox: DurableOutbox, place: Place, reference: str, sent: str | None) -> None:
    found = None if sent is None else ResourceId(sent)
    resolved = await outbox.resolve(reference, found, time.time())
    if not resolved:
        raise OutboxUnusable(f"outbox {place}: {await _why_not(outbox, reference)}")
    if sent is None:
        line = f"{reference} waits again: the next queue or campaign with this outbox sends it."
    else:
        line = f"{reference} is now recorded as sent."
    console().print(line)
    for other in resolved[1:]:
        line = (
            f"{other.reference} too is now recorded as sent: "
            "the remaining receipt can only be its own."
        )
        console().print(line)


async def _why_not(outbox: DurableOutbox, reference: str) -> str:
    try:
        outcome = await outbox.find(reference)
    except KeyError:
        return f"no message has the reference {reference}"
    return f"{reference} is {outcome.state}, not unknown"


async def _export(outbox: DurableOutbox, to: Path) -> None:
    with PrivateCsv(to, _EXPORTED, instead="choose another name") as file:
        rows = 0
        async for message in outbox.messages():
            outcome, error = message.outcome, message.outcome.error
            what = (outcome.resource_id or "", type(error).__name__ if error else "", error or "")
            delivery = outcome.delivery.status if outcome.delivery else ""
            file.write((outcome.reference, message.to or "", outcome.state, *what, delivery))
            rows += 1
    console().print(f"Messages written to {to}, including numbers: {rows}.")


async def _import(outbox: DurableOutbox, source: Path) -> None:
    check_file(source, "store of receipts")
    read = matched = settled = 0
    async with ReceiptFile(source) as file:
        async for batch in _in_batches(file.receipts()):
            # Together and in order: one by one, each would wait for the disk.
            kept = await asyncio.gather(*(outbox.keep(*one) for one in batch))
            matching = [settles for _, settles in filter(None, kept)]
            read, matched = read + len(batch), matched + len(matching)
            settled += sum(matching)
    console().print(
        f"Receipts read: {read}. For messages here: {matched}; unknown messages settled: {settled}."
    )


async def _in_batches(received: AsyncIterator[_Received]) -> AsyncIterator[list[_Received]]:
    batch: list[_Received] = []
    async for one in received:
        batch.append(one)
        if len(batch) == _AT_ONCE:
            yield batch
            batch = []
    yield batch


async def _forget(outbox: DurableOutbox) -> None:
    forgotten = await outbox.forget()
    console().print(
        f"Finished messages whose number and text were deleted: {forgotten}. Their outcomes stay."
    )
