"""What is said before a campaign and after it."""

from pathlib import Path

import typer
from rich.console import Console

from orange_sms_async import OrangeSMSError
from orange_sms_async.cli.advice import advice, way_out, way_out_of_refusals
from orange_sms_async.cli.campaign import Campaign
from orange_sms_async.cli.errors import show_behind
from orange_sms_async.cli.exits import ExitCode
from orange_sms_async.cli.results import RowState
from orange_sms_async.cli.resume import Earlier
from orange_sms_async.outcomes import State

_MOST_REASONS = 5


def show_earlier(earlier: Earlier, outbox: Path, screen: Console) -> None:
    """Say what an outbox holds as the campaign goes on with it."""
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


def show_others(others: int | None, file: Path, screen: Console) -> None:
    """Say how many messages are sent that stand in no row of the file."""
    if others is None:
        screen.print("What waits is sent, also what may be in no row of this file.")
    elif others:
        screen.print(f"{others} of the waiting: in no row of {file}. They are sent too.")


def show_end(
    campaign: Campaign,
    path: Path,
    outbox: Path | None,
    told: dict[str, int],
    screen: Console,
    *,
    debug: bool,
) -> None:
    """Say what became of the rows, and what is to be done about it."""
    tally = campaign.tally
    counts = ", ".join(f"{times} {state}" for state, times in tally.counts())
    screen.print(f"{tally.rows} rows: {counts}.")
    if told:
        screen.print("Receipts: " + ", ".join(f"{n} {status}" for status, n in told.items()) + ".")
    for reason, times in tally.reasons.most_common(_MOST_REASONS):
        screen.print(f"{times} x {reason}")
        if way := way_out_of_refusals(reason.partition(":")[0]):
            screen.print(f"    {way}.")
    if tally.states[RowState.UNKNOWN]:
        screen.print("Look into the unknown ones before you send them again: they may be sent.")
        if outbox:
            screen.print(f"`orange-sms outbox {outbox} --state unknown` lists them.")
    if outbox and (tally.states[RowState.WAITING] or campaign.waiting):
        screen.print(f"The same command goes on; {campaign.waiting} messages wait in {outbox}.")
    screen.print(f"What became of each row is in {path}")
    _show_why(campaign, debug=debug)


def _show_why(campaign: Campaign, *, debug: bool) -> None:
    """Say on stderr why it ended before its rows did."""
    trouble, no_access = campaign.client.trouble, campaign.tally.no_access
    if campaign.ended is ExitCode.UNREACHABLE and trouble:
        _complain(f"{campaign.why}. {way_out(trouble)}.", trouble if debug else None)
    elif campaign.ended in (ExitCode.UNREACHABLE, ExitCode.USAGE, ExitCode.SOME_FAILED):
        _complain(campaign.why)
    elif no_access:
        _complain(advice(no_access), no_access if debug else None)


def _complain(line: str, behind: OrangeSMSError | None = None) -> None:
    show_behind(behind)
    typer.echo(f"Error: {line}", err=True)
