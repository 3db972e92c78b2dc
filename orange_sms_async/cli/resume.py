"""What earlier runs left in an outbox, looked at before a campaign goes on with it."""

import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import attrs
from rich.console import Console

from orange_sms_async import Outcome, State
from orange_sms_async.cli.csv_rows import Defaults, open_rows
from orange_sms_async.cli.place import DurableOutbox, Place
from orange_sms_async.cli.results import first_outcome

# A row whose outcome was forgotten would be sent again: the file of a campaign is kept or deleted.
RETENTION = timedelta.max


@attrs.frozen
class EarlierRuns:
    """
    An outbox as earlier runs left it.

    Attributes:
        cut: messages that were on the wire when the last run ended.
        waiting: the references of those that are sent as soon as the outbox is opened.
        key: makes references for rows that have none.
        results: whether a results file tells of this outbox's messages.
    """

    counts: Counter[State]
    cut: int
    waiting: frozenset[str] = attrs.field(repr=False)
    key: bytes = attrs.field(repr=False)
    results: bool

    def not_in(self, file: Path, defaults: Defaults) -> int | None:
        """Count what waits and is in no row of a file; None for one that can be read once only."""
        if not self.waiting:
            return 0
        if not file.is_file():
            return None
        others = set(self.waiting)
        with open_rows(file, defaults) as rows:
            rows.key = self.key
            for row in rows:
                others.discard(row.reference)
                if not others:
                    break
        return len(others)


async def look_into(outbox: DurableOutbox, results: Path) -> EarlierRuns:
    """
    Look into an outbox, created where there is none; nothing is sent.

    Raises:
        OutboxUnusable: names the file and the cause.
    """
    async with open_outbox(outbox) as recovered:
        waiting = [
            outcome.reference
            for state in (State.QUEUED, State.SCHEDULED)
            async for outcome in outbox.outcomes(state)
        ]
        return EarlierRuns(
            counts=await outbox.counts(),
            cut=sum(outcome.state is State.UNKNOWN for outcome in recovered),
            waiting=frozenset(waiting),
            key=await outbox.key(),
            results=await _tells_of(results, outbox),
        )


@contextlib.asynccontextmanager
async def open_outbox(outbox: DurableOutbox) -> AsyncIterator[list[Outcome]]:
    """Open an outbox without a queue; yield what was settled by that."""
    async with look_into_outbox(outbox):
        now = time.time()
        # While another process has the turn, that one settles.
        yield await outbox.tidy(now) if await outbox.take_turn(now) else []


@contextlib.asynccontextmanager
async def look_into_outbox(outbox: DurableOutbox) -> AsyncIterator[None]:
    """Open an outbox, whoever has the turn, and let it be."""
    await outbox.open(time.time(), RETENTION)
    try:
        yield
    finally:
        await outbox.aclose()


async def _tells_of(results: Path, outbox: DurableOutbox) -> bool:
    """Say whether nothing is lost with a results file, as the outbox knows what it tells."""
    try:
        first = first_outcome(results)
        # One is enough: all of a run's rows are in one outbox.
        kept = first and await outbox.find(first[0])
    except LookupError:
        return False
    return first is None or not first[1] or (kept is not None and kept.resource_id == first[1])


def show_earlier(earlier: EarlierRuns, outbox: Place, screen: Console) -> None:
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
