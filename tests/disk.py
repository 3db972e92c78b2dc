"""What the file of an outbox holds, and files as an earlier process would leave them."""

import contextlib
import shutil
import sqlite3
import tempfile
from datetime import timedelta
from pathlib import Path

import attrs
from line import Line

from orange_sms_async import ResourceId, SendQueue
from orange_sms_async.outbox import Entry, Outbox
from orange_sms_async.outbox.sqlite import SqliteOutbox
from orange_sms_async.outbox.sqlite.schema import OUTBOX
from orange_sms_async.outcomes import Outcome, State

MONTH = timedelta(days=30)
DAY = 86_400.0


SCHEMA = ";".join(statement for version in OUTBOX.versions for statement in version)


def crash(path: Path) -> Path:
    """Return a copy of the file as a process killed now would leave it."""
    folder = Path(tempfile.mkdtemp(dir=path.parent))
    for file in path.parent.glob(f"{path.name}*"):
        shutil.copy(file, folder)
    return folder / path.name


def on_disk(path: Path) -> dict[str, str]:
    """The state of each message, were the process killed now."""
    with contextlib.closing(sqlite3.connect(crash(path))) as db:
        return dict(db.execute("SELECT reference, state FROM message ORDER BY id"))


async def begin(outbox: Outbox, now: float, retention: timedelta) -> list[Outcome]:
    """Open an outbox and have the turn, as a queue does; return what that settled."""
    await outbox.open(now, retention)
    try:
        assert await outbox.take_turn(now)
        return await outbox.tidy(now)
    except BaseException:
        await outbox.aclose()
        raise


async def leave(path: Path, *entries: Entry) -> None:
    """Leave messages in the file, as an earlier process would."""
    outbox = SqliteOutbox(path)
    await outbox.open(0.0, MONTH)
    for entry in entries:
        await outbox.add(entry)
    await outbox.aclose()


async def outcomes(queue: SendQueue, state: State | None = None) -> dict[str, State]:
    return {outcome.reference: outcome.state async for outcome in queue.outcomes(state)}


class Peeking(Line):
    """Copies the file whenever a message leaves, as if the process were killed right then."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.crashes = path, []

    async def attempt(self, message):
        self.crashes.append(crash(self.path))
        return await super().attempt(message)


class Opaque(Line):
    """Gives resource ids that say nothing of the text, as Orange does."""

    async def attempt(self, message):
        return attrs.evolve(await super().attempt(message), resource_id=ResourceId("opaque"))
