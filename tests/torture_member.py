"""
One of the processes that share a file, which others start and attack, and what is heard of it.

It submits and awaits, and sends whenever it has the turn. A byte on its stdin ends the submitting,
the end of its stdin all of it. Without a pace it submits nothing, and sends what is there. Dates
may be those of a clock that is set while it lives.
"""

import asyncio
import contextlib
import json
import mmap
import os
import resource
import struct
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from life import Life
from torture import say, surroundings

from orange_sms_async import (
    Client,
    ClientCredentials,
    MessageExpired,
    OutboundMessage,
    OutboxUnusable,
    OutcomeUnknown,
    Priority,
    QueueClosed,
    ResourceId,
    SendQueue,
)
from orange_sms_async.events import Event, Left, Waiting, WaitingFor
from orange_sms_async.outbox.sqlite import SqliteOutbox
from orange_sms_async.outcomes import Outcome, State

WORKERS = 8
REFUSED = 3  # its exit code when the file cannot be opened, or its queue stopped
PATIENCE = 5.0  # seconds in which the last futures are resolved
SOON, SHORT = 0.5, 3.0  # seconds until some may leave, and until some must have left
NUMBERS = 20


# -- the process -----------------------------------------------------------------------------------


async def member(  # noqa: PLR0917 -- as `Life` gives them
    path: str, url: str, authorization: str, rate: float, name: str, pace: float | None
) -> None:
    quiet, ended = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().add_reader(0, heard, quiet, ended)
    credentials = ClientCredentials.from_header(authorization)
    async with Client(credentials, base_url=url, timeout=2.0, rate=rate) as client:
        queue = SendQueue(
            client, outbox=SqliteOutbox(path), workers=WORKERS, on_outcome=tell, on_event=notice
        )
        async with queue:
            say("open")
            if pace is None:
                await queue.aclose()
                return
            await produce(queue, name, pace, quiet)
            while not (ended.is_set() or queue.statistics().stopped):  # noqa: ASYNC110 -- either
                await asyncio.sleep(0.05)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await queue.join()
            if why := queue.statistics().stopped:
                raise QueueClosed(why)


def heard(quiet: asyncio.Event, ended: asyncio.Event) -> None:
    quiet.set()
    if not os.read(0, 1):
        asyncio.get_running_loop().remove_reader(0)
        ended.set()


def tell(outcome: Outcome) -> None:
    say("told", outcome.reference, outcome.state, outcome.resource_id)


def notice(event: Event) -> None:
    if isinstance(event, Left):
        say("left", time.monotonic())
    elif isinstance(event, Waiting) and event.reason is WaitingFor.TURN:
        say("waits", event.words)


async def produce(queue: SendQueue, name: str, pace: float, quiet: asyncio.Event) -> None:
    number = 0
    while not quiet.is_set():
        try:
            # Twice its number: one flipped bit makes of no message another.
            await submit(queue, f"{name}-{number}-{number}", number)
            number += 1
        except OutboxUnusable as error:  # not admitted
            say("refused", error)
        await asyncio.sleep(pace)


async def submit(queue: SendQueue, reference: str, number: int) -> None:
    message = OutboundMessage(number_of(reference), reference, reference=reference)
    now = time.time()
    soon = datetime.fromtimestamp(now + SOON, UTC) if number % 7 == 0 else None
    ends = now + SHORT if may_expire(reference) else None
    future = await queue.submit(
        message,
        priority=Priority(number % 3),
        not_before=soon,
        expires_at=datetime.fromtimestamp(ends, UTC) if ends else None,
    )
    say("admitted", reference, ends)
    future.add_done_callback(partial(resolved, reference))


def number_of(reference: str) -> str:
    return f"+2250701020{sum(reference.encode()) % NUMBERS:03}"


def may_expire(reference: str) -> bool:
    """Of a clock that is set, one in eleven; without one nothing is to expire."""
    return "CLOCK" in os.environ and int(reference.rpartition("-")[2]) % 11 == 0


def resolved(reference: str, future: asyncio.Future[ResourceId]) -> None:
    """Say what became of a message, in the words of the file."""
    try:
        say("resolved", reference, State.SENT, future.result())
    except OutcomeUnknown:
        say("resolved", reference, State.UNKNOWN)
    except MessageExpired:
        say("resolved", reference, State.EXPIRED)
    except QueueClosed:
        say("closed", reference)


class SetClock:
    """A wall clock for all processes that have its file; 0 is what this machine says."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(8))
        self._shown, self._real = mmap.mmap(os.open(path, os.O_RDWR), 8), time.time

    @property
    def ahead(self) -> float:
        return struct.unpack("d", self._shown)[0]  # type: ignore[no-any-return]

    @ahead.setter
    def ahead(self, seconds: float) -> None:
        self._shown[:] = struct.pack("d", seconds)

    def time(self) -> float:
        return self._real() + self.ahead


# -- what is heard of it ---------------------------------------------------------------------------


class Member(Life):
    """
    Such a process.

    Attributes:
        admitted: until when each message had to leave, where that was said.
        resolved: what its futures came to.
        told: what its queue settled.
        waits: why it waited for its turn, in words.
        refused: what could not be done, in words.
        left: when a message left it, on the clock that all processes of a machine share.
        opened: whether it had the file open.
    """

    def __init__(self, *arguments: object, clock: Path | None = None) -> None:
        self.admitted = dict[str, float]()
        self.resolved, self.told = dict[str, list[str]](), dict[str, list[str]]()
        self.waits, self.refused = list[str](), list[str]()
        self.left, self.opened = list[float](), False
        command = [sys.executable, __file__, json.dumps(arguments)]
        env = surroundings() | ({"CLOCK": str(clock)} if clock else {})
        super().__init__(command, env, self._heard)

    def _heard(self, line: str) -> None:
        match line.split():
            case ["open"]:
                self.opened = True
            case ["admitted", reference, ends]:
                self.admitted[reference] = float("inf" if ends == "None" else ends)
            case ["resolved", reference, *what]:
                self.resolved[reference] = what
            case ["told", reference, *what]:
                self.told[reference] = what
            case ["left", at]:
                self.left.append(float(at))
            case ["waits", *words]:
                self.waits.append(" ".join(words))
            case ["refused", *words]:
                self.refused.append(" ".join(words))

    def may_write(self, size: int) -> None:
        """Let none of its files grow beyond a size, as on a disk that is full."""
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(self.number, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def main() -> None:
    if clock := os.environ.get("CLOCK"):
        time.time = SetClock(Path(clock)).time
    try:
        asyncio.run(member(*json.loads(sys.argv[1])))
    except (OutboxUnusable, QueueClosed) as error:
        say("refused", error)
        sys.exit(REFUSED)


if __name__ == "__main__":
    main()
