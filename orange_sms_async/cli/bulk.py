"""`orange-sms bulk`: a campaign from a CSV file, with what became of every row in another."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from orange_sms_async import Client, InvalidMessage, OutboundMessage, SendQueue
from orange_sms_async.cli.campaign import Campaign, WatchedClient
from orange_sms_async.cli.ending import ExitCode, stop_with
from orange_sms_async.cli.progress import console, shown
from orange_sms_async.cli.rates import messages_a_second
from orange_sms_async.cli.results import Result, ResultsFile, RowState, UnwritableFileError
from orange_sms_async.cli.rows import Row, UnreadableFileError, count_rows, open_rows
from orange_sms_async.cli.signals import interrupts_call

_MOST_REASONS = 5


def bulk(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.csv", help="Columns to,text and, if wanted, sender_name,reference."
        ),
    ],
    *,
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
) -> None:
    """
    Send the SMS of a CSV file and write what became of each row.

    The account is in the environment: ORANGE_SMS_CLIENT_ID and ORANGE_SMS_CLIENT_SECRET, or
    ORANGE_SMS_AUTHORIZATION; ORANGE_SMS_BASE_URL for a sandbox. A row that is wrong or refused
    is listed in the results and the others go on. Ctrl-C finishes what is on the wire and lists
    the rest as not sent; a second one ends at once.

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
    path, screen = results or file.with_suffix(".results.csv"), console()
    client = _client()
    try:
        with (
            open_rows(file, sender_name) as rows,
            _results_file(path, file, force=force) as written,
        ):
            total = count_rows(file)
            sending = send_rows(
                client,
                rows,
                written.write,
                rate=rate,
                patience=patience,
                total=total,
                screen=screen,
            )
            campaign = asyncio.run(sending)
    except (UnreadableFileError, UnwritableFileError) as error:
        stop_with(str(error))
    _show_end(campaign, path, screen)
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
) -> Campaign:
    """Send rows through a queue, watched on a screen; Ctrl-C stops it in an orderly way."""
    watched = WatchedClient(client)
    async with client, SendQueue(watched, rate=rate) as queue:
        campaign = Campaign(rows, watched, queue, patience, settled)

        def interrupt() -> None:
            screen.print("Stopping: what is on the wire finishes. Ctrl-C again ends at once.")
            campaign.interrupt()

        with interrupts_call(interrupt, leaving=screen.show_cursor):
            async with shown(campaign, total, screen):
                await campaign.run()
    return campaign


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


def _results_file(path: Path, rows: Path, *, force: bool) -> ResultsFile:
    if path.exists() and path.samefile(rows):
        raise UnwritableFileError(f"{path} holds the rows: --results names another file")
    return ResultsFile(path, replace=force)


def _show_end(campaign: Campaign, path: Path, screen: Console) -> None:
    tally = campaign.tally
    counts = ", ".join(f"{tally.states[state]} {state}" for state in RowState)
    screen.print(f"{tally.rows} rows: {counts}.")
    for reason, times in tally.reasons.most_common(_MOST_REASONS):
        screen.print(f"{times} x {reason}")
    if tally.states[RowState.UNKNOWN]:
        screen.print("Look into the unknown ones before you send them again: they may be sent.")
    screen.print(f"What became of each row is in {path}")
    if campaign.ended is ExitCode.UNREACHABLE:
        typer.echo(f"Error: {campaign.why}", err=True)
    elif tally.no_access:
        typer.echo(f"Error: {type(tally.no_access).__name__}: {tally.no_access}", err=True)
