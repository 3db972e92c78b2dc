"""`orange-sms demo`: a real campaign against a sandbox in another process."""

import asyncio
import contextlib
import re
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated

import attrs
import httpx
import typer
from rich.console import Console
from rich.table import Table

from orange_sms_async import (
    Client,
    ClientCredentials,
    DeliveryReceipt,
    DeliveryStatus,
    ReceiptBook,
    ReceiptReceiver,
    ResourceId,
)
from orange_sms_async.cli.bulk import send_rows
from orange_sms_async.cli.campaign import Campaign
from orange_sms_async.cli.csv_rows import Defaults, open_rows
from orange_sms_async.cli.exits import ExitCode, in_plain_words, stop_with
from orange_sms_async.cli.results import Result, RowState
from orange_sms_async.cli.serving import bind, serving
from orange_sms_async.cli.spreadsheet import UnreadableFileError, count_rows
from orange_sms_async.cli.stdout import console
from orange_sms_async.cli.words import many, said

_LIST = Path(__file__).with_name("recipients.csv")
_RATE = 5
_PATIENCE = 20.0  # seconds without getting through to a sandbox of our own
_RECEIPTS = 10.0  # seconds that receipts may take after the last message
_START, _END = 20.0, 5.0  # seconds it may take to start and to stop
_SETTING = re.compile(r'export ORANGE_SMS_(\w+)="?([^"\n]+)')


@attrs.define
class _Seen:
    """What this side saw of the campaign."""

    accepted: set[ResourceId] = attrs.field(factory=set)
    invalid: list[Result] = attrs.field(factory=list)
    answered_at: list[float] = attrs.field(factory=list)

    def settled(self, result: Result) -> None:
        if result.state is RowState.INVALID:
            self.invalid.append(result)
        elif result.state is not RowState.NOT_SENT:
            self.answered_at.append(time.monotonic())
        if result.resource_id is not None:
            self.accepted.add(result.resource_id)

    @property
    def rate(self) -> float:
        """Messages a second from the first answer to the last."""
        times = self.answered_at
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0


@attrs.frozen
class _Outcome:
    """A campaign as both sides saw it: this process, and the sandbox with its own count."""

    campaign: Campaign
    seen: _Seen
    final: dict[ResourceId, DeliveryReceipt]
    counted: dict[str, int]
    seconds: float

    @property
    def unaccounted(self) -> int:
        states = self.campaign.tally.states
        without_receipt = len(self.seen.accepted - self.final.keys())
        not_ours = abs(self.counted["accepted"] - len(self.seen.accepted))
        return without_receipt + not_ours + states[RowState.UNKNOWN]

    @property
    def exit_code(self) -> ExitCode:
        if self.campaign.ended is not None:
            return self.campaign.ended
        not_sent = self.campaign.tally.states[RowState.NOT_SENT]
        wrong = self.unaccounted or not_sent or self.counted["most_in_a_second"] > _RATE
        return ExitCode.SOME_FAILED if wrong else ExitCode.ALL_ACCEPTED


def demo(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="[FILE]",
            help="A CSV file as for `orange-sms bulk`. Default: 60 made-up people.",
            show_default=False,
        ),
    ] = _LIST,
) -> None:
    """
    Send a list of messages to a local sandbox, and show the result.

    Nothing leaves this machine. The command starts a sandbox in another process, receives its
    delivery receipts, and sends 5 messages a second over HTTP. Exit codes: 0 if every row is
    accounted for and no second had a sixth message, 1 if not, 130 after Ctrl-C.
    """
    screen = console()
    try:
        outcome = asyncio.run(_demonstrate(file, screen))
    except UnreadableFileError as error:
        stop_with(str(error))
    except SandboxFailedError as error:
        stop_with(f"{error}.", ExitCode.SOME_FAILED)
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    _summarise(outcome, screen)
    raise typer.Exit(outcome.exit_code)


async def _demonstrate(file: Path, screen: Console) -> _Outcome:
    seen, book = _Seen(), ReceiptBook()
    with open_rows(file, Defaults()) as rows:
        async with (
            serving(ReceiptReceiver(book.add), bind("127.0.0.1", 0)) as endpoint,
            sandbox_process("--rate", str(_RATE), "--receipts", endpoint) as sandbox,
        ):
            screen.print(f"A sandbox listens on {sandbox.base_url}")
            screen.print(f"and its receipts go to {endpoint}")
            began, total = time.monotonic(), count_rows(file)
            campaign = await send_rows(
                sandbox.client(),
                rows,
                seen.settled,
                patience=_PATIENCE,
                total=total,
                screen=screen,
            )
            final = await _final_receipts(book, seen.accepted)
            seconds = time.monotonic() - began
            return _Outcome(campaign, seen, final, await sandbox.statistics(), seconds)


async def _final_receipts(
    book: ReceiptBook, accepted: set[ResourceId]
) -> dict[ResourceId, DeliveryReceipt]:
    waits = [book.delivered(resource_id, _RECEIPTS) for resource_id in accepted]
    came = await asyncio.gather(*waits, return_exceptions=True)
    return {
        receipt.resource_id: receipt for receipt in came if isinstance(receipt, DeliveryReceipt)
    }


def _summarise(outcome: _Outcome, screen: Console) -> None:
    table = Table(title=said("Result"), title_justify="left", show_header=False, box=None)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in (*_rows(outcome), *_receipts(outcome), *_pace(outcome)):
        table.add_row(said(name), said(value))
    screen.print()
    screen.print(table, soft_wrap=False)


def _rows(outcome: _Outcome) -> Iterator[tuple[str, str]]:
    tally = outcome.campaign.tally
    yield "rows", str(tally.rows)
    for state, rows in tally.counts():
        yield f"  {state}", str(rows)
        if state is RowState.REFUSED:
            for reason, times in tally.reasons.items():
                yield "", f"{times} x {in_plain_words(reason)}"
        if state is RowState.INVALID:
            for result in outcome.seen.invalid:
                yield "", f"row {result.row.number}: {result.error}"
    yield "unaccounted for", str(outcome.unaccounted)


def _receipts(outcome: _Outcome) -> Iterator[tuple[str, str]]:
    counts = Counter(str(receipt.status) for receipt in outcome.final.values())
    delivered = counts.pop(DeliveryStatus.DELIVERED_TO_TERMINAL, 0)
    yield "receipts", str(delivered + counts.total())
    yield "  delivered", str(delivered)
    yield "  not delivered", str(counts.total())
    for status, times in sorted(counts.items()):
        yield "", f"{times} x {status}"


def _pace(outcome: _Outcome) -> Iterator[tuple[str, str]]:
    counted = outcome.counted
    yield "rate", f"{outcome.seen.rate:.2f} a second"
    most = counted["most_in_a_second"]
    yield "busiest second", f"{many(most, 'requests')}, as the sandbox counted; {_RATE} are allowed"
    yield "throttled", str(counted["throttled"])
    yield "units used", str(counted["units_used"])
    yield "time", f"{outcome.seconds:.1f} s"


class SandboxFailedError(Exception):
    """The sandbox did not start; its own error went to stderr."""


@attrs.frozen
class SandboxProcess:
    """A running sandbox, and a connection to it that bypasses any proxy in the environment."""

    base_url: str
    authorization: str = attrs.field(repr=False)
    transport: httpx.AsyncBaseTransport

    def client(self) -> Client:
        credentials = ClientCredentials.from_header(self.authorization)
        return Client(credentials, base_url=self.base_url, transport=self.transport)

    async def statistics(self) -> dict[str, int]:
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.get(f"{self.base_url}/_sandbox/statistics")
            counted: dict[str, int] = answer.raise_for_status().json()
            return counted


@contextlib.asynccontextmanager
async def sandbox_process(*options: str) -> AsyncIterator[SandboxProcess]:
    """
    Start `orange-sms sandbox` on a free port, yield it once it answers, and stop it at the end.

    Raises:
        SandboxFailedError: it did not start.
    """
    command = (sys.executable, "-m", "orange_sms_async.cli", "sandbox", "--port", "0")
    process = await asyncio.create_subprocess_exec(
        *command,
        "--until-stdin-ends",
        *options,
        stdin=PIPE,
        stdout=PIPE,
        # Ctrl-C reaches every process of the terminal. This one must outlive the last requests.
        start_new_session=True,
    )
    stdin, output = process.stdin, process.stdout
    if stdin is None or output is None:
        raise SandboxFailedError("the sandbox has no pipes")  # asked for above; for type checkers
    try:
        settings = await _settings(output)
        transport = httpx.AsyncHTTPTransport()
        yield SandboxProcess(settings["BASE_URL"], settings["AUTHORIZATION"], transport)
        await transport.aclose()
    finally:
        await _end(process, stdin)


async def _settings(output: asyncio.StreamReader) -> dict[str, str]:
    settings: dict[str, str] = {}
    try:
        async with asyncio.timeout(_START):
            while settings.keys() < {"BASE_URL", "AUTHORIZATION"}:
                line = await output.readline()
                if not line:
                    raise SandboxFailedError("the sandbox did not start")
                if setting := _SETTING.match(line.decode()):
                    settings[setting[1]] = setting[2]
    except TimeoutError:
        raise SandboxFailedError(f"the sandbox did not start within {_START:.0f} s") from None
    return settings


async def _end(process: Process, stdin: asyncio.StreamWriter) -> None:
    stdin.close()  # that is what it waits for; it also happens when this process is killed
    try:
        async with asyncio.timeout(_END):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
