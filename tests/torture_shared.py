"""
Processes that share one file, killed at random: what was admitted is sent once, or is unknown.

    python tests/torture_shared.py --processes 4 --kills 100 [--seed N]

What it does not show: that fsync reaches the disk, as in `torture.py`.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import attrs
from line import crowded
from torture import read, say, surroundings

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
from orange_sms_async._served import Served
from orange_sms_async.outbox.sqlite import SqliteOutbox
from orange_sms_async.outcomes import Outcome, State
from orange_sms_async.sandbox import Sandbox

WORKERS = 8
RATE = 100.0
OF_SENDERS = 0.5  # of what happens to a process, to the one that has the turn
REFUSED = 3  # of a process that could not open the file, or whose queue stopped
PATIENCE = 5.0  # seconds in which the last futures are resolved
DRAIN = 60.0  # seconds in which what waits has to leave once nothing happens any more


# -- one of the processes --------------------------------------------------------------------------


async def member(  # noqa: PLR0917 -- as `Life` gives them
    path: str, url: str, authorization: str, rate: float, name: str, pace: float
) -> None:
    """Submit until stdin says a word, await what was submitted, and end when stdin does."""
    quiet, ended = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().add_reader(0, heard, quiet, ended)
    credentials = ClientCredentials.from_header(authorization)
    async with Client(credentials, base_url=url, timeout=2.0, rate=rate) as client:
        outbox = SqliteOutbox(path)
        async with SendQueue(client, outbox=outbox, workers=WORKERS, on_outcome=tell) as queue:
            say("open")
            await produce(queue, name, pace, quiet)
            await ended.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await queue.join()


def heard(quiet: asyncio.Event, ended: asyncio.Event) -> None:
    quiet.set()
    if not os.read(0, 1):
        asyncio.get_running_loop().remove_reader(0)
        ended.set()


def tell(outcome: Outcome) -> None:
    say("told", outcome.reference, outcome.state, outcome.resource_id)


async def produce(queue: SendQueue, name: str, pace: float, quiet: asyncio.Event) -> None:
    number = 0
    while not quiet.is_set():
        reference = f"{name}-{number}"
        message = OutboundMessage("+2250701020304", reference, reference=reference)
        future = await queue.submit(message, priority=Priority(number % 3))
        say("admitted", reference)
        future.add_done_callback(partial(resolved, reference))
        number += 1
        await asyncio.sleep(pace)


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


# -- the one that kills them and compares ----------------------------------------------------------


class Life:
    """One of the processes, and what is heard of it."""

    def __init__(self, *arguments: object) -> None:
        self.admitted = set[str]()
        self.resolved = dict[str, list[str]]()
        self.told = dict[str, list[str]]()
        command = [sys.executable, __file__, "--member", json.dumps(arguments)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=surroundings()
        )
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        with self._process.stdout or contextlib.nullcontext(()) as lines:
            for line in lines:
                if line.endswith(b"\n"):  # the last one may be cut
                    self._heard(line.decode())

    def _heard(self, line: str) -> None:
        match line.split():
            case ["admitted", reference]:
                self.admitted.add(reference)
            case ["resolved", reference, *what]:
                self.resolved[reference] = what
            case ["told", reference, *what]:
                self.told[reference] = what

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    @property
    def number(self) -> int:
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def say(self, word: bytes = b"") -> None:
        """Ask it to submit nothing more, or to end."""
        with contextlib.suppress(BrokenPipeError):
            if self._process.stdin and word:
                self._process.stdin.write(word)
                self._process.stdin.flush()
            elif self._process.stdin:
                self._process.stdin.close()

    def end(self, seconds: float) -> int:
        """Give it so long to end by itself; return its exit code."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self._process.kill()
        self._listener.join()
        self.say()
        return self._process.wait()


@attrs.frozen(kw_only=True)
class Figures:
    """What came of it; `violations` is empty when all is well."""

    events: Counter[str]
    of_senders: int
    admitted: int
    accepted: int
    states: Counter[State]
    seconds: float
    seed: int
    violations: list[str]

    def __str__(self) -> str:
        events = ", ".join(f"{count} {event}" for event, count in self.events.items())
        states = ", ".join(f"{count} {state}" for state, count in sorted(self.states.items()))
        return (
            f"{events} ({self.of_senders} of the sender); {self.admitted} heard admitted, "
            f"{self.accepted} accepted; {states}; "
            f"{len(self.violations)} violations; seed {self.seed}, {self.seconds:.0f} s"
        )


class Torture:
    """Some processes, the file they share, the server it is sent to, and what is known of it."""

    def __init__(self, folder: Path, seed: int, *, processes: int = 4, rate: float = RATE) -> None:
        self._path, self._seed, self._rate = folder / "outbox.db", seed, rate
        self._processes = processes
        self._chance = random.Random(seed)
        self._sandbox = Sandbox(rate=None, latency=0.01, jitter=0.02, seed=seed, keep=1_000_000)
        self._lives: list[Life] = []
        self._ended: list[tuple[int, Life]] = []
        self._events = Counter[str]()
        self._of_senders = 0
        self._violations: list[str] = []

    def run(self, *, kills: int) -> Figures:
        start = time.monotonic()
        try:
            with Served(self._sandbox) as served:
                self._lives = [self._life(served.base_url) for _ in range(self._processes)]
                for _ in range(kills):
                    self._kill()
                    self._replace(served.base_url)
                self._end()
            return self._figures(time.monotonic() - start)
        finally:
            for life in self._lives:
                life.end(0)

    def _life(self, url: str) -> Life:
        name = f"m{self._events.total()}-{self._chance.getrandbits(32):x}"
        server = url, self._sandbox.authorization, self._rate
        return Life(str(self._path), *server, name, self._processes / self._rate * 1.2)

    # -- what happens to them -------------------------------------------------------------------

    def _kill(self) -> None:
        time.sleep(self._chance.uniform(0.1, 1.0))
        life = self._victim()
        life.send(signal.SIGKILL)
        life.end(DRAIN)
        self._events["kills"] += 1

    def _victim(self) -> Life:
        life = self._chance.choice(self._lives)
        sender = self._sender()
        if self._chance.random() < OF_SENDERS:
            life = next((each for each in self._lives if each.number == sender), life)
        self._of_senders += life.number == sender
        return life

    def _sender(self) -> int:
        """Return the number of the process that has the turn; 0 for none."""
        with contextlib.closing(looking(self._path)) as db, contextlib.suppress(sqlite3.Error):
            return db.execute("SELECT process FROM opening").fetchone()[0] or 0
        return 0

    def _replace(self, url: str) -> None:
        for n, life in enumerate(self._lives):
            if not life.lives:
                self._ended.append((life.end(0), life))
                self._lives[n] = self._life(url)

    def _end(self) -> None:
        """Submit nothing more, and send what is left."""
        late = time.monotonic() + DRAIN
        for life in self._lives:
            life.say(b"q")
        while self._left() and time.monotonic() < late:
            time.sleep(0.2)
        for life in self._lives:
            life.say()
        self._ended += [(life.end(DRAIN), life) for life in self._lives]

    def _left(self) -> int:
        with contextlib.closing(looking(self._path)) as db:
            query = "SELECT count(*) FROM message WHERE finished_at IS NULL"
            return db.execute(query).fetchone()[0]  # type: ignore[no-any-return]

    # -- what came of it ------------------------------------------------------------------------

    def _figures(self, seconds: float) -> Figures:
        outcomes = {outcome.reference: outcome for outcome in asyncio.run(read(self._path))}
        for code, life in self._ended:
            self._violations += [*of_life(code, life, outcomes)]
        self._violations += [*self._of_file(outcomes), *self._of_pace()]
        return Figures(
            events=self._events,
            of_senders=self._of_senders,
            admitted=sum(len(life.admitted) for _, life in self._ended),
            accepted=len(self._sandbox.sent),
            states=Counter(outcome.state for outcome in outcomes.values()),
            seconds=seconds,
            seed=self._seed,
            violations=self._violations,
        )

    def _of_file(self, outcomes: dict[str, Outcome]) -> Iterator[str]:
        accepted = {sent.text: sent.resource_id for sent in self._sandbox.sent}
        times = Counter(sent.text for sent in self._sandbox.sent)
        yield from (f"{it}: accepted, and not kept" for it in accepted.keys() - outcomes.keys())
        yield from (f"{it}: accepted {n} times" for it, n in times.items() if n > 1)
        for it, outcome in outcomes.items():
            if outcome.state not in (State.SENT, State.UNKNOWN):
                yield f"{it}: {outcome.state} in the end"
            elif outcome.state is State.SENT and outcome.resource_id != accepted.get(it):
                yield f"{it}: sent, and not accepted as such"

    def _of_pace(self) -> Iterator[str]:
        posts = [it for it in self._sandbox.requests if "/smsmessaging/" in it.path]
        for number, senders, at in crowded(
            [(it.time, it.headers.get("authorization", "")) for it in posts], self._rate
        ):
            if senders > 1:  # of one alone, this machine may be late with what left in time
                yield f"{number} of {senders} senders in the second before {at:.3f}"


def of_life(code: int, life: Life, outcomes: dict[str, Outcome]) -> Iterator[str]:
    """Compare what a process said with what the file says in the end."""
    if code not in (0, -signal.SIGKILL):
        yield f"a process ended with {code}"
    unknown = [it for it, (state, *_) in life.told.items() if state == State.UNKNOWN]
    if len(unknown) > WORKERS:
        yield f"{len(unknown)} unknown to a process that took the turn"
    yield from (f"{it}: lost" for it in life.admitted - outcomes.keys())
    if code == 0:
        unresolved = life.admitted - life.resolved.keys()
        yield from (f"{it}: its future was never resolved" for it in unresolved)
    for it, what in (*life.resolved.items(), *life.told.items()):
        outcome = outcomes.get(it)
        if outcome and [str(outcome.state), str(outcome.resource_id)][: len(what)] != what:
            yield f"{it}: {' '.join(what)} to a process, and {outcome.state} in the end"


def looking(path: Path) -> sqlite3.Connection:
    """Open a file to look at it, without a hand on its log."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    parser.add_argument("--member", type=json.loads, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.member:
        try:
            asyncio.run(member(*wanted.member))
        except (OutboxUnusable, QueueClosed) as error:
            say("refused", error)
            sys.exit(REFUSED)
        return
    with tempfile.TemporaryDirectory() as folder:
        torture = Torture(Path(folder), wanted.seed, processes=wanted.processes)
        figures = torture.run(kills=wanted.kills)
    print(figures)  # noqa: T201 -- a program, too
    for violation in figures.violations:
        print(violation, file=sys.stderr)  # noqa: T201
    sys.exit(bool(figures.violations))


if __name__ == "__main__":
    main()
