"""`orange-sms bulk`: a campaign from a CSV file, with what became of every row in another."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from orange_sms_async import Client, InvalidMessage, OutboundMessage, SendQueue
from orange_sms_async.cli.campaign import Campaign, WatchedClient
from orange_sms_async.cli.deliveries import Deliveries
from orange_sms_async.cli.earlier import RETENTION, Earlier, look_into, opened
from orange_sms_async.cli.ending import ExitCode, stop_with
from orange_sms_async.cli.private_csv import UnwritableFileError
from orange_sms_async.cli.progress import console, shown
from orange_sms_async.cli.rates import messages_a_second
from orange_sms_async.cli.receipts import Secret, listening, warn_without
from orange_sms_async.cli.results import Result, ResultsFile, RowState, Tally, fill_in
from orange_sms_async.cli.rows import Row, UnreadableFileError, count_rows, open_rows
from orange_sms_async.cli.signals import interrupts_call
from orange_sms_async.outbox import OutboxUnusable, State
from orange_sms_async.outbox.sqlite import SqliteOutbox

_MOST_REASONS = 5


def bulk(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.csv", help="Columns to,text and, if wanted, sender_name,reference."
        ),
    ],
    *,
    outbox: Annotated[
        Path | None,
        typer.Option(
            metavar="CAMPAIGN.db",
            help="Keep the campaign in this file, so that it goes on after any stop.",
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(help="What became of each row. Default: FILE.results.csv.", metavar="FILE"),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a results file that exists.")
    ] = False,
    rate: Annotated[
        float,
        typer.Option(
            parser=messages_a_second,
            metavar="NUMBER|off",
            help="Messages a second: 5 unless Orange gave you more. Off is for sandboxes.",
        ),
    ] = 5.0,
    sender_name: Annotated[
        str | None, typer.Option(help="For rows that have none.", metavar="NAME")
    ] = None,
    patience: Annotated[
        float,
        typer.Option(min=0.1, help="Seconds without getting through after which it gives up."),
    ] = 120.0,
    receipts: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            metavar="PORT",
            help="Take delivery receipts there, on 127.0.0.1, into the outbox; 0 for a free port.",
        ),
    ] = None,
    secret: Secret = None,
    receipts_wait: Annotated[
        float, typer.Option(min=0, help="Seconds for receipts after the last message.")
    ] = 60.0,
) -> None:
    """
    Send the SMS of a CSV file and write what became of each row.

    The account is in the environment: ORANGE_SMS_CLIENT_ID and ORANGE_SMS_CLIENT_SECRET, or
    ORANGE_SMS_AUTHORIZATION; ORANGE_SMS_BASE_URL for a sandbox. A row that is wrong or refused
    is listed in the results and the others go on. Ctrl-C finishes what is on the wire and lists
    the rest as not sent; a second one ends at once.

    With --outbox the campaign survives Ctrl-C, a crash or a power cut: the same command goes on
    where it was, lists every row, and sends no row again that was sent or may have been. It shows
    first what it found; what else waits in the outbox is sent too. `orange-sms outbox` shows what
    is in it: numbers and texts, so keep it as you keep the rows.

    With --receipts, which needs an outbox, delivered is shown beside sent, and the results say it
    of each row. Have your proxy pass what Orange posts to that port. What comes after the end,
    `orange-sms receipts` can take, and `orange-sms outbox --import` joins.

    A row is recognised by its reference or, without one, by its number and text, wherever it
    stands in the file. So a row whose number or text was changed is a new message, and two
    identical rows are two messages. The reference it gets is a hash that only the outbox can make.
    A changed row that keeps its own reference is invalid.

    The exit code is the first of these that applies:

    2: wrong usage, or a file that cannot be read or written.

    130: interrupted.

    4: nothing got through any more, the rest was not sent.

    3: wrong credentials or no access, the rest was not sent.

    5: for some rows it is unknown whether they were sent.

    1: some rows were refused or invalid.

    0: all were accepted.
    """
    _check_sender_name(sender_name)
    kept_in = SqliteOutbox(outbox) if outbox else None
    # A port is taken before anything is sent, which opening the outbox begins.
    deliveries = None if receipts is None else _taken(kept_in, receipts, secret, receipts_wait)
    path, screen = results or file.with_suffix(".results.csv"), console()
    client = _client()
    try:
        with open_rows(file, sender_name) as rows:
            earlier = _earlier(outbox, path)
            if outbox and earlier:
                rows.key = earlier.key
                _show_earlier(earlier, outbox, screen)
                _show_others(earlier.not_in(file, sender_name), file, screen)
            replace = force or (earlier is not None and earlier.results)
            with _results_file(path, {file, outbox or file}, replace=replace) as written:
                sending = send_rows(
                    client,
                    rows,
                    written.write_result,
                    rate=rate,
                    patience=patience,
                    total=count_rows(file),
                    screen=screen,
                    outbox=kept_in,
                    deliveries=deliveries,
                )
                campaign = asyncio.run(sending)
        told = _receipts_told(outbox, path, campaign.tally) if outbox else {}
    except (UnreadableFileError, UnwritableFileError, OutboxUnusable) as error:
        stop_with(str(error))
    except KeyboardInterrupt:  # before the first message
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    _show_end(campaign, path, outbox, told, screen)
    raise typer.Exit(campaign.exit_code)


async def send_rows(
    client: Client,
    rows: Iterable[Row],
    settled: Callable[[Result], None],
    *,
    rate: float,
    patience: float,
    total: int | None,
    screen: Console,
    outbox: SqliteOutbox | None = None,
    deliveries: Deliveries | None = None,
) -> Campaign:
    """Send rows through a queue, watched on a screen; Ctrl-C stops it in an orderly way."""
    watched = WatchedClient(client)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(client)
        queue = SendQueue(watched, rate=rate, outbox=outbox, retention=RETENTION)
        await stack.enter_async_context(queue)
        if deliveries:
            address = await stack.enter_async_context(deliveries.served(queue))
            screen.print(f"Receipts are taken on {address}")
        campaign = Campaign(
            rows, watched, queue, patience, settled, goes_on=bool(outbox), deliveries=deliveries
        )

        def interrupt() -> None:
            screen.print("Stopping: what is on the wire finishes. Ctrl-C again ends at once.")
            campaign.interrupt()

        with interrupts_call(interrupt, leaving=screen.show_cursor):
            async with shown(campaign, total, screen):
                await campaign.run()
    return campaign


def _taken(outbox: SqliteOutbox | None, port: int, secret: str | None, wait: float) -> Deliveries:
    if outbox is None:
        raise typer.BadParameter(
            "goes with --outbox CAMPAIGN.db, which keeps what comes", param_hint="--receipts"
        )
    warn_without(secret)
    listener = listening("127.0.0.1", port, instead="--receipts 0")
    return Deliveries(outbox, listener, secret, wait)


def _receipts_told(outbox: Path, results: Path, tally: Tally) -> dict[str, int]:
    """Count the outbox's messages by what receipts told, and enter it in the results."""
    # A pipe stays as it is: what was written there cannot be written again. So does a link.
    return asyncio.run(_told(outbox, results.resolve() if results.is_file() else None, tally))


async def _told(outbox: Path, results: Path | None, tally: Tally) -> dict[str, int]:
    async with opened(outbox) as (kept_in, _):
        told = dict(await kept_in.deliveries())
        if told and results:
            tally.settled_by_receipts(await fill_in(results, kept_in.find))
            if awaited := await kept_in.awaited(time.time()):
                told["without a final one yet"] = awaited
        return told


def _check_sender_name(name: str | None) -> None:
    # Once, or every row without a name of its own would be invalid.
    try:
        OutboundMessage("+2250000000000", "-", sender_name=name)
    except InvalidMessage as error:
        rule = str(error).removeprefix("sender_name: ")
        raise typer.BadParameter(rule, param_hint="--sender-name") from None


def _client() -> Client:
    try:
        return Client.from_env()
    except ValueError as error:
        stop_with(f"{error}. `orange-sms sandbox` says what to set to try it without an account.")


def _results_file(path: Path, others: set[Path], *, replace: bool) -> ResultsFile:
    if path.exists() and any(path.samefile(other) for other in others):
        raise UnwritableFileError(f"{path} is read here: --results names another file")
    return ResultsFile(path, replace=replace)


def _earlier(outbox: Path | None, results: Path) -> Earlier | None:
    return asyncio.run(look_into(outbox, results)) if outbox else None


def _show_earlier(earlier: Earlier, outbox: Path, screen: Console) -> None:
    counts = earlier.counts
    if not counts:
        screen.print(f"{outbox} is new: the campaign begins.")
        return
    found = [f"{counts[State.SENT]} already sent", f"{len(earlier.waiting)} waiting"]
    found += [
        f"{counts[state]} {state}"
        for state in (State.UNKNOWN, State.FAILED, State.EXPIRED, State.WITHDRAWN)
        if counts[state]
    ]
    screen.print(f"{outbox} goes on: {', '.join(found)}.")
    if earlier.cut:
        screen.print(
            f"{earlier.cut} of the unknown: on the wire when the last run ended, perhaps sent."
        )


def _show_others(others: int | None, file: Path, screen: Console) -> None:
    if others is None:
        screen.print("What waits is sent, also what may be in no row of this file.")
    elif others:
        screen.print(f"{others} of the waiting: in no row of {file}. They are sent too.")


def _show_end(
    campaign: Campaign, path: Path, outbox: Path | None, told: dict[str, int], screen: Console
) -> None:
    tally = campaign.tally
    counts = ", ".join(f"{times} {state}" for state, times in tally.counts())
    screen.print(f"{tally.rows} rows: {counts}.")
    if told:
        screen.print("Receipts: " + ", ".join(f"{n} {status}" for status, n in told.items()) + ".")
    for reason, times in tally.reasons.most_common(_MOST_REASONS):
        screen.print(f"{times} x {reason}")
    if tally.states[RowState.UNKNOWN]:
        screen.print("Look into the unknown ones before you send them again: they may be sent.")
        if outbox:
            screen.print(f"`orange-sms outbox {outbox} --state unknown` lists them.")
    if outbox and (tally.states[RowState.WAITING] or campaign.waiting):
        screen.print(f"The same command goes on; {campaign.waiting} messages wait in {outbox}.")
    screen.print(f"What became of each row is in {path}")
    if campaign.ended in (ExitCode.UNREACHABLE, ExitCode.USAGE):
        typer.echo(f"Error: {campaign.why}", err=True)
    elif tally.no_access:
        typer.echo(f"Error: {type(tally.no_access).__name__}: {tally.no_access}", err=True)
