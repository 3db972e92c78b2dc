"""The progress and result of a campaign: a bar on a terminal, lines elsewhere."""

import asyncio
import contextlib
import datetime as dt
import time
from collections import Counter, deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import attrs
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from orange_sms_async import OrangeSMSError
from orange_sms_async.cli.campaign import Campaign
from orange_sms_async.cli.exits import (
    ExitCode,
    advice,
    in_plain_words,
    show_behind,
    way_out,
    way_out_of_reasons,
)
from orange_sms_async.cli.place import Place
from orange_sms_async.cli.results import RowState
from orange_sms_async.cli.words import echo, many, number, said

_BAR_EVERY, _LINE_EVERY = 0.25, 5.0  # seconds
_RATE_OVER = 10.0  # seconds over which the rate is averaged
_STALLED = 2.0  # seconds without a row before the reason is shown
_MOST_REASONS = 5
_SETTLED = {*RowState} - {RowState.NOT_SENT, RowState.WAITING}


def _now() -> float:
    return asyncio.get_running_loop().time()


class Display(Protocol):
    """Something that shows a line of text and, if it can, a bar."""

    def show(self, text: str, done: int, total: int | None) -> None: ...


class _Lines:
    def __init__(self, screen: Console) -> None:
        self._screen = screen

    def show(self, text: str, done: int, total: int | None) -> None:  # noqa: ARG002
        self._screen.print(text)


class _Bar:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None)

    def show(self, text: str, done: int, total: int | None) -> None:
        self._progress.update(self._task, description=text, completed=done, total=total)
        self._progress.refresh()


@attrs.define
class _Course:
    """The progress of a campaign, from one look to the next."""

    campaign: Campaign
    total: int | None
    _seen: deque[tuple[float, int, int]] = attrs.field(factory=deque)
    _rows: int = 0
    _moved_at: float = attrs.field(factory=_now)
    _trouble: str = ""

    def look(self) -> str:
        """Describe the progress."""
        tally, now = self.campaign.tally, _now()
        if tally.rows != self._rows:
            self._rows, self._moved_at = tally.rows, now
        self._seen.append((now, self.campaign.asked, tally.done))
        while now - self._seen[0][0] > _RATE_OVER:
            self._seen.popleft()
        of = "" if self.total is None else f"/{self.total}"
        counts = [f"{times} {state}" for state, times in tally.counts() if state in _SETTLED]
        if deliveries := self.campaign.deliveries:
            counts.insert(1, f"{deliveries.delivered} delivered")
        rate = number(f"{self._rate:.1f}")
        parts = [f"{tally.done}{of}", f"{rate}/s", *map(said, counts), *self._left]
        return "  ".join(parts)

    def trouble(self) -> str:
        """Say what the campaign is waiting for, once per reason."""
        stalled = _now() - self._moved_at > _STALLED
        trouble = (self.campaign.trouble or self._held) if stalled else None
        before, self._trouble = self._trouble, str(trouble or "")
        return self._trouble if self._trouble != before else ""

    @property
    def _held(self) -> str:
        if self.campaign.held_until <= time.time():
            return ""
        date = dt.datetime.fromtimestamp(self.campaign.held_until, dt.UTC).astimezone()
        return f"held back until {date:%Y-%m-%d %H:%M}"

    @property
    def _rate(self) -> float:
        (began, first, _), (ended, last, _) = self._seen[0], self._seen[-1]
        # Answers may come closer together than their requests left. The requests keep the limit.
        limit = self.campaign.client.pacer.rate
        return min((last - first) / (ended - began), limit) if ended > began else 0.0

    @property
    def _left(self) -> list[str]:
        # By rows done, not by messages sent: an outbox knows of many rows without asking Orange.
        (began, _, first), (ended, _, done) = self._seen[0], self._seen[-1]
        rows = (self.total or 0) - done
        if rows <= 0 or done == first:
            return []
        left = dt.timedelta(seconds=round(rows * (ended - began) / (done - first)))
        return [said(f"{left} left")]


@contextlib.asynccontextmanager
async def show_progress(
    campaign: Campaign, total: int | None, screen: Console
) -> AsyncIterator[None]:
    """Show a campaign while the block runs, and its last state at the end."""
    course = _Course(campaign, total)
    with contextlib.ExitStack() as stack:
        display: Display = _Lines(screen)
        every = _LINE_EVERY
        if screen.is_terminal and not screen.is_dumb_terminal:
            columns = BarColumn(bar_width=None), TextColumn("{task.description}", markup=False)
            bar = Progress(*columns, console=screen, expand=True, auto_refresh=False)
            display, every = _Bar(stack.enter_context(bar)), _BAR_EVERY
        showing = asyncio.create_task(_show(course, display, every, screen))
        try:
            yield
        finally:
            showing.cancel()
            await asyncio.wait({showing})
            display.show(course.look(), campaign.tally.done, course.total)


async def _show(course: _Course, display: Display, every: float, screen: Console) -> None:
    while True:
        text = course.look()
        if trouble := course.trouble():
            screen.print(f"Waiting: {trouble}")
        display.show(text, course.campaign.tally.done, course.total)
        await asyncio.sleep(every)


def show_end(
    campaign: Campaign,
    path: Path,
    outbox: Place | None,
    told: dict[str, int],
    screen: Console,
    *,
    debug: bool,
) -> None:
    """Show the results, and say what to do about them."""
    tally = campaign.tally
    # "Waiting" would be read as: in the outbox, where few of them are when a campaign stops early.
    unsent = {RowState.WAITING: "not sent yet"}
    counts = ", ".join(f"{n:,} {unsent.get(state, state)}" for state, n in tally.counts())
    screen.print(f"{many(tally.rows, 'rows')}: {counts}.")
    if told:
        screen.print("Receipts: " + ", ".join(f"{n} {status}" for status, n in told.items()) + ".")
    _show_reasons(tally.rules, screen)
    _show_reasons(tally.reasons, screen)
    if tally.states[RowState.UNKNOWN]:
        screen.print("Check the unknown ones before you send them again: they may have been sent.")
        if outbox:
            screen.print(f"`orange-sms outbox show {outbox} --state unknown` lists them.")
    if outbox and (tally.states[RowState.WAITING] or campaign.waiting):
        screen.print(
            "Run the same command to resume. "
            f"Already in {outbox}: {many(campaign.waiting, 'messages')}."
        )
    if not outbox and tally.states[RowState.NOT_SENT]:
        screen.print(
            "Without --outbox, it cannot be resumed: send the rows marked not sent as a new file."
        )
    screen.print(f"The result of each row is in {path}")
    _show_why(campaign, debug=debug)


def _show_reasons(reasons: Counter[str], screen: Console) -> None:
    for reason, times in reasons.most_common(_MOST_REASONS):
        screen.print(f"{times:,} x {in_plain_words(reason)}")
        if way := way_out_of_reasons(reason):
            screen.print(Text(f"    {said(way)}."))
    if len(reasons) > _MOST_REASONS:
        screen.print(f"... and {len(reasons) - _MOST_REASONS} more")


def _show_why(campaign: Campaign, *, debug: bool) -> None:
    """Say on stderr why the campaign stopped before its last row."""
    trouble, no_access = campaign.trouble, campaign.tally.no_access
    if campaign.ended is ExitCode.UNREACHABLE and trouble:
        _complain(f"{campaign.why}. {way_out(trouble)}.", trouble if debug else None)
    elif campaign.ended in (ExitCode.UNREACHABLE, ExitCode.USAGE, ExitCode.SOME_FAILED):
        _complain(campaign.why)
    elif no_access:
        _complain(advice(no_access), no_access if debug else None)


def _complain(line: str, behind: OrangeSMSError | None = None) -> None:
    show_behind(behind)
    echo(f"Error: {line}", err=True)
