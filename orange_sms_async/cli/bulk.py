"""`orange-sms bulk`: a campaign from a CSV file, with the result of each row in another."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from orange_sms_async import Client, OutboxUnusable
from orange_sms_async.cli import config
from orange_sms_async.cli.campaign import Campaign
from orange_sms_async.cli.check import Preflight
from orange_sms_async.cli.csv_rows import Defaults, Row, open_rows
from orange_sms_async.cli.deliveries import Deliveries, ReceiptsPort, listens
from orange_sms_async.cli.exits import ExitCode, interrupts_call, stop_with
from orange_sms_async.cli.gating import (
    HoursOption,
    MaxUnits,
    Rules,
    SuppressOption,
    rules_of,
)
from orange_sms_async.cli.options import (
    Debug,
    ExpiresAt,
    NotBefore,
    NumbersOf,
    Rate,
    RowsFile,
    Secret,
    SenderAddress,
    SenderName,
    TextOfRows,
    defaults_of_rows,
    seconds,
)
from orange_sms_async.cli.place import VARIABLE, Account, DurableOutbox, Place, enter
from orange_sms_async.cli.progress import show_end, show_progress
from orange_sms_async.cli.results import Result, ResultsFile, Tally, UnwritableFileError, fill_in
from orange_sms_async.cli.resume import (
    EarlierRuns,
    look_into,
    open_outbox,
    show_earlier,
    show_others,
)
from orange_sms_async.cli.spreadsheet import UnreadableFileError, count_rows
from orange_sms_async.cli.stdout import console


def bulk(
    file: RowsFile,
    *,
    text: TextOfRows = None,
    country: NumbersOf = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Send nothing: only check, as `orange-sms check` does."),
    ] = False,
    outbox: Annotated[
        Place | None,
        typer.Option(
            parser=Place.read,
            envvar=VARIABLE,
            show_envvar=False,
            metavar="CAMPAIGN.db",
            help="Keep the campaign in this file, or at postgresql://…, so that the same command "
            "resumes it after any stop. Default: ORANGE_SMS_OUTBOX, if set.",
        ),
    ] = None,
    account: Account = "default",
    results: Annotated[
        Path | None,
        typer.Option(
            help="Where to write the result of each row. Default: FILE.results.csv.", metavar="FILE"
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an existing results file.")
    ] = False,
    rate: Rate = 5.0,
    sender_name: SenderName = None,
    sender_address: SenderAddress = None,
    not_before: NotBefore = None,
    expires_at: ExpiresAt = None,
    hours: HoursOption = None,
    suppress: SuppressOption = None,
    max_units: MaxUnits = None,
    patience: Annotated[
        float,
        typer.Option(
            parser=seconds(least=0.1),
            metavar="SECONDS",
            help="Give up when nothing gets through for this long.",
        ),
    ] = 120.0,
    receipts: ReceiptsPort = None,
    secret: Secret = None,
    receipts_wait: Annotated[
        float,
        typer.Option(
            parser=seconds(), metavar="SECONDS", help="How long to wait for receipts at the end."
        ),
    ] = 60.0,
    debug: Debug = False,
) -> None:
    """
    Send the SMS of a CSV file, and write the result of each row.

    The account is in the environment: ORANGE_SMS_CLIENT_ID and ORANGE_SMS_CLIENT_SECRET, or
    ORANGE_SMS_AUTHORIZATION; for a sandbox, also ORANGE_SMS_BASE_URL. Or it is in the file
    ~/.config/orange-sms/config.toml. An invalid or refused row is listed in the results, and the
    others are still sent. Ctrl-C finishes the requests in progress and lists the rest as not sent;
    a second Ctrl-C stops at once.

    With --outbox, the campaign survives Ctrl-C, a crash or a power cut. The same command resumes
    it, lists every row, and never sends a row again that was sent or may have been. It first shows
    what it found; other messages waiting in the outbox are sent too. `orange-sms outbox show`
    shows what the outbox holds. It contains numbers and texts: protect it like your CSV file.

    With --receipts, which needs --outbox, delivered messages are counted too, and the results give
    the receipt of each row. Have your proxy forward Orange's requests to that port. Receipts that
    arrive later can be received by `orange-sms receipts` and added by `orange-sms outbox import`.

    A row is recognised by its reference or, without one, by its number and text, wherever it is in
    the file. So a row whose number or text has changed is a new message, and two identical rows
    are two messages. A row without a reference is given one: a hash that only this outbox can
    compute. A changed row that keeps its own reference is invalid.

    Exit codes. If several apply, it is the first of 2, 130, 4, 3, 5, 1.

    0: all rows were accepted.

    1: some rows were refused, withheld, invalid or expired, or not sent because of --max-units.

    2: wrong usage, or a file that cannot be read or written.

    3: wrong credentials or no access; the rest was not sent.

    4: nothing got through; the rest was not sent.

    5: for some rows it is unknown whether they were sent.

    130: interrupted.
    """
    defaults = defaults_of_rows(
        sender_name=sender_name,
        sender_address=sender_address,
        country=country,
        text=text,
        not_before=not_before,
        expires_at=expires_at,
    )
    if outbox:
        outbox = outbox.of(account)
    kept_file = outbox.file if outbox else None
    rules = rules_of(hours, suppress, max_units)
    if dry_run:
        _dry_run(file, defaults, rate, rules, outbox, debug=debug)
    kept_in = outbox.outbox() if outbox else None
    # The port is taken first: opening the outbox begins to send.
    deliveries = None if receipts is None else _taken(kept_in, receipts, secret, receipts_wait)
    path, screen = results or file.with_suffix(".results.csv"), console()
    client = config.client(rate)
    try:
        with open_rows(file, defaults) as rows:
            earlier = _earlier(outbox, path)
            if outbox and earlier:
                rows.key = earlier.key
                show_earlier(earlier, outbox, screen)
                show_others(earlier.not_in(file, defaults), file, screen)
            replace = force or (earlier is not None and earlier.results)
            inputs = {file, kept_file or file}
            written = _results_file(path, inputs, replace=replace, rows_delimiter=rows.delimiter)
            with written:
                sending = send_rows(
                    client,
                    rows,
                    written.write_result,
                    patience=patience,
                    total=count_rows(file),
                    screen=screen,
                    outbox=kept_in,
                    deliveries=deliveries,
                    rules=rules,
                )
                campaign = asyncio.run(sending)
    except (UnreadableFileError, UnwritableFileError, OutboxUnusable) as error:
        stop_with(str(error))
    except KeyboardInterrupt:  # before the first message
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    told, trouble = _receipts_told(outbox, path, campaign.tally) if outbox else ({}, "")
    show_end(campaign, path, outbox, told, screen, debug=debug)
    if trouble:
        stop_with(trouble)
    raise typer.Exit(campaign.exit_code)


async def send_rows(
    client: Client,
    rows: Iterable[Row],
    settled: Callable[[Result], None],
    *,
    patience: float,
    total: int | None,
    screen: Console,
    outbox: DurableOutbox | None = None,
    deliveries: Deliveries | None = None,
    rules: Rules | None = None,
) -> Campaign:
    """Send rows through a queue and show the progress; Ctrl-C stops it in an orderly way."""
    campaign = Campaign(rows, client, settled, patience, outbox, rules or Rules(), deliveries)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(client)
        await enter(stack, campaign.queue)
        if deliveries:
            address = await stack.enter_async_context(deliveries.served(campaign.queue))
            screen.print(f"Receiving receipts on {address}")

        def interrupt() -> None:
            screen.print("Stopping: requests in progress finish first. Ctrl-C again stops at once.")
            campaign.interrupt()

        with interrupts_call(interrupt, leaving=screen.show_cursor):
            async with show_progress(campaign, total, screen):
                await campaign.run()
    return campaign


def _dry_run(
    file: Path,
    defaults: Defaults,
    rate: float,
    rules: Rules,
    outbox: Place | None,
    *,
    debug: bool,
) -> NoReturn:
    looked_at = Preflight(
        file=file,
        defaults=defaults,
        rate=rate,
        rules=rules,
        # Opening would create it.
        outbox=outbox if outbox and outbox.is_there else None,
    )
    raise typer.Exit(looked_at.run(config.client(), debug=debug))


def _taken(outbox: DurableOutbox | None, port: int, secret: str | None, wait: float) -> Deliveries:
    if outbox is None:
        raise typer.BadParameter(
            "needs --outbox CAMPAIGN.db, which keeps the receipts", param_hint="--receipts"
        )
    return Deliveries(outbox, listens(port, secret), secret, wait)


def _receipts_told(outbox: Place, results: Path, tally: Tally) -> tuple[dict[str, int], str]:
    """Count messages by receipt, and add the receipts to the results; say why if that fails."""
    # What was written to a pipe cannot be changed. A link stays a link.
    path = results.resolve() if results.is_file() else None
    try:
        return asyncio.run(_told(outbox, path, tally)), ""
    except (UnwritableFileError, OutboxUnusable) as error:
        return {}, f"receipts missing from {results}: {error}"


async def _told(outbox: Place, results: Path | None, tally: Tally) -> dict[str, int]:
    kept_in = outbox.outbox()
    async with open_outbox(kept_in):
        told = dict(await kept_in.deliveries())
        if told and results:
            tally.settled_by_receipts(await fill_in(results, kept_in.find))
            if awaited := await kept_in.awaited(time.time()):
                told["still awaited"] = awaited
        return told


def _results_file(
    path: Path, others: set[Path], *, replace: bool, rows_delimiter: str
) -> ResultsFile:
    if path.exists() and any(path.samefile(other) for other in others):
        raise UnwritableFileError(
            f"{path} is an input of this command: choose another with --results"
        )
    return ResultsFile(path, replace=replace, rows_delimiter=rows_delimiter)


def _earlier(outbox: Place | None, results: Path) -> EarlierRuns | None:
    return asyncio.run(look_into(outbox.outbox(), results)) if outbox else None
