"""
A campaign killed again and again: what was admitted is sent once, or said to be unknown.

    python tests/torture.py --kills 100 [--faults] [--seed N]

What it does not show: that fsync reaches the disk. A killed process leaves its writes with the
kernel; only a power cut, or a disk that reorders, would tell.
"""

import argparse
import asyncio
import contextlib
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn, Protocol

import anyio
import attrs

from orange_sms_async import Client, ClientCredentials, OutboundMessage, Priority, SendQueue
from orange_sms_async._served import Served
from orange_sms_async.outbox.sqlite import SqliteOutbox
from orange_sms_async.outcomes import Outcome, State
from orange_sms_async.sandbox import Sandbox

WORKERS, PRODUCERS = 8, 20
A_LIFE = 40  # new messages for each process, about as many as it lives to send
RATE = 100.0
TIMEOUT = 1.0  # seconds until a server that hangs is given up
LONGEST = 0.6  # seconds until a process is killed, counted from its start or its first word
DRAIN = 60.0  # seconds in which the last process has to come to its end
FAULT_EVERY = 0.1


# -- the process that is killed --------------------------------------------------------------------


def say(*words: object) -> None:
    """Say a line in one piece: when it was heard, it was true."""
    os.write(1, f"{' '.join(map(str, words))}\n".encode())


async def campaign(  # noqa: PLR0917 -- as `Life` gives them
    path: str, url: str, authorization: str, count: int, rate: float, seed: int
) -> None:
    references = [f"message-{n}" for n in range(count)]
    random.Random(seed).shuffle(references)
    credentials = ClientCredentials.from_header(authorization)
    async with Client(credentials, base_url=url, timeout=TIMEOUT, rate=rate) as client:
        outbox = SqliteOutbox(path)
        async with SendQueue(client, outbox=outbox, workers=WORKERS, on_outcome=tell) as queue:
            say("recovered", len(queue.recovered))
            async with anyio.create_task_group() as producers:
                for first in range(PRODUCERS):
                    producers.start_soon(produce, queue, references[first::PRODUCERS])
            say("submitted")
            await queue.aclose()  # all of it, and what an earlier life left


def tell(outcome: Outcome) -> None:
    say("told", outcome.reference, outcome.state, outcome.resource_id)


async def produce(queue: SendQueue, references: list[str]) -> None:
    for reference in references:
        message = OutboundMessage("+2250701020304", reference, reference=reference)
        number = int(reference.rpartition("-")[2])
        soon = datetime.now(UTC) + timedelta(seconds=0.5) if number % 7 == 0 else None
        await queue.submit(message, priority=Priority(number % 3), not_before=soon)
        say("admitted", reference)


# -- the one that kills it and compares ------------------------------------------------------------


@attrs.define
class Heard:
    """What the processes said before they were killed."""

    admitted: set[str] = attrs.field(factory=set)
    sent: dict[str, str] = attrs.field(factory=dict)
    recovered: list[int] = attrs.field(factory=list)

    def line(self, line: str) -> None:
        match line.split():
            case ["admitted", reference]:
                self.admitted.add(reference)
            case ["told", reference, "sent", resource_id]:
                self.sent[reference] = resource_id
            case ["recovered", count]:
                self.recovered.append(int(count))


class Life:
    """One process of the campaign, and what is heard of it."""

    def __init__(self, heard: Heard, *arguments: object) -> None:
        self._heard = heard
        self.opened = threading.Event()
        command = [sys.executable, __file__, "--campaign", json.dumps(arguments)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, env=surroundings())
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        with self._process.stdout or contextlib.nullcontext(()) as lines:
            for line in lines:
                if line.endswith(b"\n"):  # the last one may be cut
                    self._heard.line(line.decode())
                self.opened.set()
        self.opened.set()

    def kill(self) -> int:
        """Return its exit code: negative unless it had ended before."""
        self._process.kill()
        return self.end(DRAIN)

    def end(self, seconds: float) -> int:
        """Give it so long to end by itself; return its exit code."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self._process.kill()
        self._listener.join()
        return self._process.wait()


def surroundings() -> dict[str, str]:
    """Without anybody's account and without a proxy to this machine."""
    ours = {name: value for name, value in os.environ.items() if "ORANGE_SMS" not in name}
    return ours | {"NO_PROXY": "127.0.0.1"}


class Trouble:
    """A server that, while this is open, goes wrong in every way that leaves a doubt."""

    def __init__(self, sandbox: Sandbox, chance: random.Random) -> None:
        self._sandbox, self._chance = sandbox, chance
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._make)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _make(self) -> None:
        while not self._over.wait(self._chance.uniform(0, 2 * FAULT_EVERY)):
            taken = self._chance.random() < 0.5
            match self._chance.randrange(9):
                case 0 | 1 | 2:
                    self._sandbox.drop_next(taken=taken)
                case 3:
                    self._sandbox.hang_next(taken=taken)
                case 4 | 5 | 6:
                    self._sandbox.fail_next(500, taken=taken)
                case 7:
                    self._sandbox.fail_next(429, code=53, message="Too many requests")
                case 8:
                    self._sandbox.expire_tokens()


@attrs.frozen(kw_only=True)
class Figures:
    """What came of it; `violations` is empty when all is well."""

    kills: int
    admitted: int
    accepted: int
    states: Counter[State]
    most_unknown: int
    seconds: float
    seed: int
    violations: list[str]

    def __str__(self) -> str:
        states = ", ".join(f"{count} {state}" for state, count in sorted(self.states.items()))
        return (
            f"{self.kills} kills, {self.admitted} heard admitted, {self.accepted} accepted; "
            f"{states}; at most {self.most_unknown} unknown of a kill ({WORKERS} workers); "
            f"{len(self.violations)} violations; seed {self.seed}, {self.seconds:.0f} s"
        )


class Torture:
    """One campaign, the server it is sent to, and what is known of it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._path, self._seed = folder / "outbox.db", seed
        self._chance = random.Random(seed)
        self._sandbox = Sandbox(rate=None, latency=0.01, jitter=0.02, seed=seed, keep=100_000)
        self._heard = Heard()
        self._codes: list[int] = []
        self._kills = 0

    def run(self, kills: int, *, faults: bool) -> Figures:
        start = time.monotonic()
        with Served(self._sandbox) as served:
            trouble = (
                Trouble(self._sandbox, random.Random(self._seed))
                if faults
                else contextlib.nullcontext()
            )
            with trouble:
                while self._kills < kills:
                    self._live_and_be_killed(served.base_url)
            self._codes.append(self._life(served.base_url, math.inf).end(DRAIN))
        return self._figures(time.monotonic() - start)

    def _life(self, url: str, rate: float = RATE) -> Life:
        count, seed = A_LIFE * (self._kills + 1), self._chance.getrandbits(32)
        server = (url, self._sandbox.authorization)
        return Life(self._heard, str(self._path), *server, count, rate, seed)

    def _live_and_be_killed(self, url: str) -> None:
        life = self._life(url)
        if self._chance.random() < 0.8:  # the others may be killed while they open the file
            life.opened.wait(DRAIN)
        time.sleep(self._chance.uniform(0, LONGEST))
        code = life.kill()
        if code < 0:
            self._kills += 1
        else:
            self._codes.append(code)

    def _figures(self, seconds: float) -> Figures:
        outcomes = {outcome.reference: outcome for outcome in asyncio.run(read(self._path))}
        return Figures(
            kills=self._kills,
            admitted=len(self._heard.admitted),
            accepted=len(self._sandbox.sent),
            states=Counter(outcome.state for outcome in outcomes.values()),
            most_unknown=max(self._heard.recovered, default=0),
            seconds=seconds,
            seed=self._seed,
            violations=[*self._violations(outcomes)],
        )

    def _violations(self, outcomes: dict[str, Outcome]) -> Iterator[str]:
        accepted = {sent.text: sent.resource_id for sent in self._sandbox.sent}
        times = Counter(sent.text for sent in self._sandbox.sent)
        yield from (f"a process ended with {code}" for code in self._codes if code)
        yield from (
            f"{count} unknown of one kill" for count in self._heard.recovered if count > WORKERS
        )
        yield from (f"{it}: lost" for it in self._heard.admitted - outcomes.keys())
        yield from (f"{it}: accepted, and not kept" for it in accepted.keys() - outcomes.keys())
        yield from (f"{it}: accepted {n} times" for it, n in times.items() if n > 1)
        for it, outcome in outcomes.items():
            if outcome.state not in (State.SENT, State.UNKNOWN):
                yield f"{it}: {outcome.state} in the end"
            elif outcome.state is State.SENT and outcome.resource_id != accepted.get(it):
                yield f"{it}: sent, and not accepted as such"
            elif it in self._heard.sent and outcome.resource_id != self._heard.sent[it]:
                yield f"{it}: told to be sent, and {outcome.state} in the end"


async def read(path: Path) -> list[Outcome]:
    outbox = SqliteOutbox(path)
    await outbox.open(0.0, timedelta(days=30))
    try:
        return [outcome async for outcome in outbox.outcomes(None)]
    finally:
        await outbox.aclose()


class Judged(Protocol):
    """What a torture came to: `str` says it, and `violations` is empty when all is well."""

    @property
    def violations(self) -> list[str]: ...


def end_with(figures: Judged) -> NoReturn:
    """End the program, and say what came of it."""
    print(figures)  # noqa: T201 -- a program
    for violation in figures.violations:
        print(violation, file=sys.stderr)  # noqa: T201
    sys.exit(bool(figures.violations))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--faults", action="store_true", help="a server that goes wrong, too")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    parser.add_argument("--campaign", type=json.loads, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.campaign:
        asyncio.run(campaign(*wanted.campaign))
        return
    with tempfile.TemporaryDirectory() as folder:
        figures = Torture(Path(folder), wanted.seed).run(wanted.kills, faults=wanted.faults)
    end_with(figures)


if __name__ == "__main__":
    main()
