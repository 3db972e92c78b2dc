"""
A fleet on one PostgreSQL, killed, stopped and cut off: what was admitted is sent once, or unknown.

    python tests/torture_fleet.py --kills 50 --stops 20 --restarts 10 --away 12 [--seed N]

What it does not show: several hosts, each with a clock and a wire of its own, and a power cut.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

import asyncpg
import attrs
from fleet_store import apart
from life import Life
from line import crowded, most_in_a_second
from postgres_server import PostgresServer
from torture import end_with, surroundings

from orange_sms_async import (
    Client,
    ClientCredentials,
    OutboundMessage,
    OutboxUnusable,
    Priority,
    SendQueue,
)
from orange_sms_async._served import Served
from orange_sms_async.outbox.postgres import PostgresOutbox, migrating
from orange_sms_async.outcomes import Outcome, State
from orange_sms_async.sandbox import Sandbox

MEMBERS = 4
RATE = 100.0
FENCE, LEASE = 0.3, 3.0
LONGEST_STOP = 6.6
OF_SENDERS = 0.7  # of what happens to a process, to the one that has the turn
CANNOT_OPEN = 3  # while the database is away, a process that starts says so and ends
DRAIN = 60.0  # seconds in which what waits has to leave once nobody is killed any more


# -- a process of the fleet ------------------------------------------------------------------------


def say(*words: object) -> None:
    """Say a line in one piece: when it was heard, it was true."""
    os.write(1, f"{' '.join(map(str, words))}\n".encode())


def tell(outcome: Outcome) -> None:
    say("told", outcome.reference, outcome.state, outcome.resource_id)


async def member(dsn: str, url: str, authorization: str, name: str, pace: float) -> None:
    """Submit until stdin says a word, and send whenever it has the turn, until stdin ends."""
    quiet, ended = asyncio.Event(), asyncio.Event()
    listen = partial(heard, quiet, ended)
    asyncio.get_running_loop().add_reader(0, listen)
    credentials = ClientCredentials.from_header(authorization)
    async with Client(credentials, base_url=url, timeout=2.0, rate=RATE) as client:
        outbox = PostgresOutbox(dsn)
        outbox._fence, outbox._lease = FENCE, LEASE
        async with SendQueue(client, outbox=outbox, on_outcome=tell) as queue:
            say("open")
            await produce(queue, name, pace, quiet)
            await ended.wait()


def heard(quiet: asyncio.Event, ended: asyncio.Event) -> None:
    quiet.set()
    if not os.read(0, 1):
        asyncio.get_running_loop().remove_reader(0)
        ended.set()


async def produce(queue: SendQueue, name: str, pace: float, quiet: asyncio.Event) -> None:
    number = 0
    while not quiet.is_set():
        message = OutboundMessage(
            "+2250701020304", f"{name}-{number}", reference=f"{name}-{number}"
        )
        with contextlib.suppress(OSError):  # not admitted while the database is away
            await queue.submit(message, priority=Priority(number % 3))
            say("admitted", message.reference)
        number += 1
        await asyncio.sleep(pace)


# -- the one that kills and compares ---------------------------------------------------------------


@attrs.define
class Heard:
    """What the processes said before they were killed."""

    admitted: set[str] = attrs.field(factory=set)
    sent: dict[str, str] = attrs.field(factory=dict)

    def line(self, line: str) -> None:
        match line.split():
            case ["admitted", reference]:
                self.admitted.add(reference)
            case ["told", reference, "sent", resource_id]:
                self.sent[reference] = resource_id


def begin(heard: Heard, *arguments: object) -> Life:
    """Begin a process of the fleet."""
    command = [sys.executable, __file__, "--member", json.dumps(arguments)]
    return Life(command, surroundings(), heard.line)


@attrs.frozen(kw_only=True)
class Figures:
    """What came of it; `violations` is empty when all is well."""

    events: Counter[str]
    admitted: int
    accepted: int
    states: Counter[str]
    really_sent: int
    tokens: int
    most: int
    seconds: float
    seed: int
    violations: list[str]

    def __str__(self) -> str:
        events = ", ".join(f"{count} {event}" for event, count in self.events.items())
        states = ", ".join(f"{count} {state}" for state, count in sorted(self.states.items()))
        return (
            f"{events}; {self.admitted} heard admitted, {self.accepted} accepted; {states} "
            f"({self.really_sent} of the unknown were sent); {self.tokens} tokens; "
            f"at most {self.most} in a second at the server; "
            f"{len(self.violations)} violations; seed {self.seed}, {self.seconds:.0f} s"
        )


class Torture:
    """One fleet, its database, the server it sends to, and what is known of it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._seed, self._chance = seed, random.Random(seed)
        self._postgres = PostgresServer(folder, fsync="on")
        self._sandbox = Sandbox(rate=None, latency=0.15, seed=seed, keep=1_000_000)
        self._heard = Heard()
        self._lives: list[Life] = []
        self._codes: list[int] = []
        self._events = Counter[str]()

    def run(self, *, kills: int, stops: int, restarts: int, away: float) -> Figures:
        start = time.monotonic()
        events = ["kills"] * kills + ["stops"] * stops + ["restarts"] * restarts
        self._chance.shuffle(events)
        if away:
            events.insert(len(events) // 2, "times away")
        self._postgres.start()
        try:
            apart(migrating.migrate(self._postgres.dsn(), rate=RATE))
            with Served(self._sandbox) as served:
                self._lives = [self._life(served.base_url) for _ in range(MEMBERS)]
                for event in events:
                    self._happen(event, served.base_url, away)
                self._end()
            return self._figures(time.monotonic() - start)
        finally:
            for life in self._lives:
                life.end(0)
            self._postgres.stop(immediate=True)

    def _life(self, url: str) -> Life:
        name = f"m{self._events.total()}-{self._chance.getrandbits(32):x}"
        server = self._postgres.dsn(), url, self._sandbox.authorization
        return begin(self._heard, *server, name, MEMBERS / RATE * 1.2)

    def _happen(self, event: str, url: str, away: float) -> None:
        time.sleep(self._chance.uniform(0.2, 1.2))
        life = self._chance.choice(self._lives)
        if self._chance.random() < OF_SENDERS:
            sender = self._sender()
            life = next((each for each in self._lives if each.number == sender), life)
        match event:
            case "kills":
                life.send(signal.SIGKILL)
                life.end(DRAIN)
            case "stops":
                life.send(signal.SIGSTOP)
                time.sleep(self._chance.uniform(0.2, LONGEST_STOP))
                life.send(signal.SIGCONT)
            case "restarts":
                self._postgres.stop(immediate=True)
                self._postgres.start()
            case _:
                self._postgres.stop()
                time.sleep(away)
                self._postgres.start()
        self._events[event] += 1
        self._replace(url)

    def _sender(self) -> int:
        """Return the number of the process that has the turn; 0 for none."""
        found: list[str] = []

        async def ask() -> None:
            db = await asyncpg.connect(self._postgres.dsn())
            found.append(await db.fetchval("SELECT holder FROM orange_sms.account") or "process 0")
            await db.close()

        apart(ask())
        return int(found[0].split()[1])

    def _replace(self, url: str) -> None:
        for n, life in enumerate(self._lives):
            if not life.lives:
                code = life.end(0)
                if code not in (0, -signal.SIGKILL, CANNOT_OPEN):
                    self._codes.append(code)
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
        self._codes += [life.end(DRAIN) for life in self._lives]

    def _left(self) -> int:
        states = Counter(outcome.state for outcome in self._outcomes().values())
        return states[State.QUEUED] + states[State.SCHEDULED] + states[State.SENDING]

    def _outcomes(self) -> dict[str, Outcome]:
        found: list[Outcome] = []

        async def read() -> None:
            outbox = PostgresOutbox(self._postgres.dsn())
            await outbox.open(0.0, timedelta(days=30))
            found.extend([outcome async for outcome in outbox.outcomes(None)])
            await outbox.aclose()

        apart(read())
        return {outcome.reference: outcome for outcome in found}

    def _figures(self, seconds: float) -> Figures:
        outcomes = self._outcomes()
        accepted = {sent.text for sent in self._sandbox.sent}
        posts = [it for it in self._sandbox.requests if "/smsmessaging/" in it.path]
        return Figures(
            events=self._events,
            admitted=len(self._heard.admitted),
            accepted=len(self._sandbox.sent),
            states=Counter(str(outcome.state) for outcome in outcomes.values()),
            really_sent=sum(
                outcome.state is State.UNKNOWN and outcome.reference in accepted
                for outcome in outcomes.values()
            ),
            tokens=sum("/oauth/" in it.path for it in self._sandbox.requests),
            most=most_in_a_second([it.time for it in posts]),
            seconds=seconds,
            seed=self._seed,
            violations=[
                *self._violations(outcomes),
                *together([(it.time, it.headers.get("authorization", "")) for it in posts]),
            ],
        )

    def _violations(self, outcomes: dict[str, Outcome]) -> Iterator[str]:
        accepted = {sent.text: sent.resource_id for sent in self._sandbox.sent}
        times = Counter(sent.text for sent in self._sandbox.sent)
        yield from (f"a process ended with {code}" for code in self._codes if code)
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


def together(posts: Sequence[tuple[float, str]]) -> Iterator[str]:
    """Find the seconds in which several processes together sent more than the rate."""
    for number, senders, at in crowded(posts, RATE):
        if senders > 1:
            yield f"{number} of {senders} senders in the second before {at:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--stops", type=int, default=20)
    parser.add_argument("--restarts", type=int, default=10)
    parser.add_argument("--away", type=float, default=12.0, help="seconds without a database")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    parser.add_argument("--member", type=json.loads, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.member:
        try:
            asyncio.run(member(*wanted.member))
        except OutboxUnusable:
            sys.exit(CANNOT_OPEN)
        return
    with tempfile.TemporaryDirectory(prefix="fleet-", ignore_cleanup_errors=True) as folder:
        figures = Torture(Path(folder), wanted.seed).run(
            kills=wanted.kills, stops=wanted.stops, restarts=wanted.restarts, away=wanted.away
        )
    end_with(figures)


if __name__ == "__main__":
    main()
