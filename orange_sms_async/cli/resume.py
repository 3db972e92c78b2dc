"""What earlier runs left in an outbox, inspected before a campaign resumes."""

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
        cut: messages in flight when the last run ended.
        waiting: references of the messages that are sent as soon as the outbox is opened.
        key: makes references for rows without one.
        results: whether a results file belongs to this outbox.
    """

    counts: Counter[State]
    cut: int
    waiting: frozenset[str] = attrs.field(repr=False)
    key: bytes = attrs.field(repr=False)
    results: bool

    def not_in(self, file: Path, defaults: Defaults) -> int | None:
        """Count waiting messages that are in no row of a file; None if it can be read only once."""
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
    Look into an outbox, and create it if there is none; nothing is sent.

    Raises:
        OutboxUnusable: the message names the file and the cause.
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
    """Open an outbox without a queue; yield the outcomes that opening it settled."""
    async with look_into_outbox(outbox):
        now = time.time()
        # While another process has the turn, that process settles them.
        yield await outbox.tidy(now) if await outbox.take_turn(now) else []


@contextlib.asynccontextmanager
async def look_into_outbox(outbox: DurableOutbox) -> AsyncIterator[None]:
    """Open an outbox, whichever process has the turn, and change nothing."""
    await outbox.open(time.time(), RETENTION)
    try:
        yield
    finally:
        await outbox.aclose()


async def _tells_of(results: Path, outbox: DurableOutbox) -> bool:
    """Say whether a results file can be replaced, because the outbox knows all that is in it."""
    try:
        first = first_outcome(results)
        # One is enough: all of a run's rows are in one outbox.
        kept = first and await outbox.find(first[0])
    except LookupError:
        return False
    return first is None or not first[1] or (kept is not None and kept.resource_id == first[1])


def show_earlier(earlier: EarlierRuns, outbox: Place, screen: Console) -> None:
    """Say what an outbox holds when the campaign resumes."""
    counts = earlier.counts
    if not counts:
        screen.print(f"{outbox} is new: the campaign starts.")
        return
    found = [f"{counts[State.SENT]} already sent", f"{len(earlier.waiting)} waiting"]
    found += [
        f"{counts[state]} {state}"
        for state in (State.UNKNOWN, State.FAILED, State.EXPIRED, State.WITHDRAWN)
        if counts[state]
    ]
    screen.print(f"{outbox} resumes: {', '.join(found)}.")
    if earlier.cut:
        screen.print(
            f"{earlier.cut} of the unknown: in progress when the last run ended, so perhaps sent."
        )


def show_others(others: int | None, file: Path, screen: Console) -> None:
    """Say how many waiting messages are sent although they are in no row of the file."""
    if others is None:
        screen.print("All waiting messages are sent, even those in no row of this file.")
    elif others:
        screen.print(f"{others} of the waiting: in no row of {file}, but sent too.")
