"""
Processes that share one file, attacked: what was admitted is sent once, or said to be unknown.

    python tests/torture_shared.py --processes 4 --kills 100 [--seed N]
    python tests/torture_shared.py --rate 10 --stops 20 --long-stops 2 --pauses 5
    python tests/torture_shared.py --kills 20 --fulls 20 --persons 50 --clocks 20

What it does not show: that fsync reaches the disk, as in `torture.py`.
"""

import argparse
import asyncio
import contextlib
import itertools
import math
import random
import signal
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import attrs
from line import crowded, most_in_a_second
from torture import Trouble, end_with, read
from torture_member import REFUSED, WORKERS, Member, SetClock, number_of

from orange_sms_async import DeliveryReceipt, ResourceId, SendQueue
from orange_sms_async._served import Served
from orange_sms_async.outbox.sqlite import SqliteOutbox
from orange_sms_async.outcomes import Outcome, State
from orange_sms_async.sandbox import Sandbox

EVENTS = {
    "kills": "any process is killed, and a new one started",
    "stops": "who has the turn is stopped for 3 seconds, and then continued or killed",
    "long_stops": "who has the turn is stopped for 30 seconds, and then continued or killed",
    "pauses": "one that has not the turn is stopped for 8 seconds",
    "fulls": "the disk is full for a while",
    "persons": "a person resolves what is unknown, wrongly, and receipts come, some of them forged",
    "clocks": "the wall clock is set, ahead or back",
}
RATE = 100.0
OF_SENDERS = 0.5  # of the kills, those of who has the turn
HUNTS = 300  # attempts to stop a process while it writes
TIGHT = 0.995  # seconds in which once in a thousand one too many may leave
SILENT = 10.0  # seconds without a message that are said for certain
AHEAD = (-7200.0, 0.0, 7200.0, 40 * 86_400.0)
DRAIN = 60.0  # seconds in which what waits has to leave once nothing happens any more


@attrs.frozen(kw_only=True)
class Figures:
    """What came of it; `violations` is empty when all is well."""

    events: Counter[str]
    of_senders: int
    amid_writes: int
    admitted: int
    accepted: int
    most: int
    refused: Counter[str]
    states: Counter[State]
    seconds: float
    seed: int
    violations: list[str]

    def __str__(self) -> str:
        events = ", ".join(f"{count} {event}" for event, count in self.events.items())
        states = ", ".join(f"{count} {state}" for state, count in sorted(self.states.items()))
        refused = "".join(f"\n  {count} × {words}" for words, count in self.refused.items())
        return (
            f"{events} ({self.of_senders} kills of the sender, {self.amid_writes} stops "
            f"amid a write); {self.admitted} heard admitted, {self.accepted} accepted; {states}; "
            f"at most {self.most} left in a second; "
            f"{len(self.violations)} violations; seed {self.seed}, {self.seconds:.0f} s{refused}"
        )


class Torture:
    """Some processes, the file they share, the server it is sent to, and what is known of it."""

    def __init__(self, folder: Path, seed: int, *, processes: int = 4, rate: float = RATE) -> None:
        self._path, self._seed, self._rate = folder / "outbox.db", seed, rate
        self._processes, self._chance = processes, random.Random(seed)
        self._sandbox = Sandbox(rate=None, latency=0.01, jitter=0.02, seed=seed, keep=1_000_000)
        self._clock = SetClock(folder / "clock")
        self._shown = [(-math.inf, 0.0)]  # on the server's clock, and how far ahead from then on
        self._clock_path: Path | None = None
        self._lives: list[Member] = []
        self._ended: list[tuple[int, Member]] = []
        self._events = Counter[str]()
        self._of_senders = self._amid_writes = 0
        self._denied = Counter[str]()  # said by a person not to have been sent
        self._lied = set[str]()  # numbers of which a person or a forged receipt said what is wrong
        self._violations: list[str] = []

    def run(self, **counts: int) -> Figures:
        """Let each of `EVENTS` happen so often, in any order."""
        start = time.monotonic()
        events = [event for event, count in counts.items() for _ in range(count)]
        self._chance.shuffle(events)
        if "clocks" in events:
            self._clock_path = self._path.with_name("clock")
        # Persons are needed where much is unknown.
        trouble = (
            Trouble(self._sandbox, random.Random(self._seed))
            if "persons" in events
            else contextlib.nullcontext()
        )
        try:
            with Served(self._sandbox) as served:
                self._lives = [self._life(served.base_url) for _ in range(self._processes)]
                with trouble:
                    for event in events:
                        time.sleep(self._chance.uniform(0.1, 1.0))
                        getattr(self, f"_{event}")()
                        self._events[event] += 1
                        self._replace(served.base_url)
                self._sandbox.behave()
                self._end(served.base_url)
            return self._figures(time.monotonic() - start)
        finally:
            for life in self._lives:
                life.end(0)

    def _life(self, url: str) -> Member:
        name = f"m{self._events.total()}-{self._chance.getrandbits(32):x}"
        server = url, self._sandbox.authorization, self._rate
        pace = self._processes / self._rate * 1.2
        return Member(str(self._path), *server, name, pace, clock=self._clock_path)

    # -- what happens to them -------------------------------------------------------------------

    def _kills(self) -> None:
        life = self._chance.choice(self._lives)
        if self._chance.random() < OF_SENDERS:
            life = self._sender() or life
        self._of_senders += life is self._sender()
        life.send(signal.SIGKILL)
        life.end(DRAIN)

    def _stops(self, seconds: float = 3.0) -> None:
        while (sender := self._sender()) is None:
            time.sleep(0.1)
        for life in self._lives:
            life.waits.clear()
        self._stop(sender)
        began = time.monotonic()
        time.sleep(seconds)
        others = [life for life in self._lives if life is not sender]
        words = [life.waits for life in others if life.lives]
        left = [it for it in self._sandbox.requests if it.time > began + 0.3]
        sender.send(signal.SIGCONT if self._chance.random() < 0.7 else signal.SIGKILL)
        if left:
            self._violations.append(f"{len(left)} requests while who had the turn was stopped")
        if seconds > SILENT and not all(f"process {sender.number} " in str(it) for it in words):
            self._violations.append(f"who has the turn was not named: {words}")

    def _long_stops(self) -> None:
        self._stops(30.0)

    def _pauses(self) -> None:
        life = self._chance.choice([life for life in self._lives if life is not self._sender()])
        self._stop(life)
        time.sleep(8.0)
        life.send(signal.SIGCONT)

    def _stop(self, life: Member) -> None:
        """Stop a process, one time in two in the middle of a write."""
        for _ in range(self._chance.choice([1, HUNTS])):
            life.send(signal.SIGCONT)
            time.sleep(self._chance.uniform(0, 0.02))
            life.send(signal.SIGSTOP)
            time.sleep(0.002)
            if self._is_being_written():
                self._amid_writes += 1
                return

    def _is_being_written(self) -> bool:
        with contextlib.closing(sqlite3.connect(self._path, timeout=0.05)) as db:
            try:
                db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
            return False

    def _fulls(self) -> None:
        files = [file.stat().st_size for file in self._path.parent.iterdir()]
        room = self._chance.choice([0, self._chance.randrange(50_000)])
        for life in self._lives:
            life.may_write(max(files) + room)
        time.sleep(self._chance.uniform(0.1, 1.5))
        for life in self._lives:
            life.may_write(-1)  # as much as it likes

    def _clocks(self) -> None:
        self._clock.ahead = self._chance.choice(AHEAD)
        self._shown.append((time.monotonic(), self._clock.ahead))

    def _persons(self) -> None:
        asyncio.run(self._meddle())

    async def _meddle(self) -> None:
        async with SendQueue(None, outbox=SqliteOutbox(self._path)) as queue:
            for unknown in [outcome async for outcome in queue.outcomes(State.UNKNOWN)]:
                await self._resolve(queue, unknown.reference)
            for sent in self._chance.choices([*self._sandbox.sent] or [None], k=5):
                if sent:
                    await self._keep(queue, sent.resource_id, number_of(sent.text))
            number = number_of(str(self._chance.random()))
            self._lied.add(number)
            await self._keep(queue, f"forged-{self._chance.random()}", number)

    async def _resolve(self, queue: SendQueue, reference: str) -> None:
        match self._chance.randrange(4):
            case 0 if await queue.resolve(reference, sent=None):
                self._denied[reference] += 1
            case 1 if await queue.resolve(reference, sent=ResourceId(f"said-{reference}")):
                self._lied.add(number_of(reference))

    async def _keep(self, queue: SendQueue, resource_id: str, number: str) -> None:
        status = self._chance.choice(["DeliveredToNetwork", "DeliveredToTerminal"])
        address = f"tel:{number}"
        receipt = DeliveryReceipt(
            resource_id=ResourceId(resource_id), status=status, address=address
        )
        await queue.keep(receipt)

    def _sender(self) -> Member | None:
        """Return the process that has the turn, as far as the file says."""
        number = 0
        with contextlib.suppress(sqlite3.Error), contextlib.closing(looking(self._path)) as db:
            (number,) = db.execute("SELECT process FROM opening").fetchone()
        return next((life for life in self._lives if life.number == number and life.lives), None)

    def _replace(self, url: str) -> None:
        for n, life in enumerate(self._lives):
            if not life.lives:
                self._ended.append((life.end(0), life))
                self._lives[n] = self._life(url)

    def _end(self, url: str) -> None:
        """Submit nothing more, and send what is left."""
        # Later than all that waits for a date. Not by a day: what is past for certain is forgotten.
        self._clock.ahead = max(AHEAD) + 10 if self._clock_path else 0.0
        self._shown.append((time.monotonic(), self._clock.ahead))
        late = time.monotonic() + DRAIN
        while self._left() and time.monotonic() < late:
            self._replace(url)  # who stopped for what happened last
            for life in self._lives:
                life.say(b"q")
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
            self._violations += [*self._of_life(code, life, outcomes)]
        self._violations += [*self._of_file(outcomes), *self._of_pace(), *self._of_dates()]
        lives = [life for _, life in self._ended]
        return Figures(
            events=self._events,
            of_senders=self._of_senders,
            amid_writes=self._amid_writes,
            admitted=sum(len(life.admitted) for life in lives),
            accepted=len(self._sandbox.sent),
            most=most_in_a_second([at for life in lives for at in life.left]),
            refused=Counter(itertools.chain(*(life.refused for life in lives))),
            states=Counter(outcome.state for outcome in outcomes.values()),
            seconds=seconds,
            seed=self._seed,
            violations=self._violations,
        )

    def _of_life(self, code: int, life: Member, outcomes: dict[str, Outcome]) -> Iterator[str]:
        """Compare what a process said with what the file says in the end."""
        # A new one is refused while another one is stopped amid a write.
        may_be_refused = self._events["fulls"] or (self._amid_writes and not life.opened)
        if code not in (0, -signal.SIGKILL) and not (code == REFUSED and may_be_refused):
            yield f"a process ended with {code}: {life.refused[-1:]}"
        unknown = sum(state == State.UNKNOWN for state, *_ in life.told.values())
        most = WORKERS * (1 + self._events["stops"] + self._events["long_stops"])
        if unknown > most and not self._events["persons"]:
            yield f"{unknown} unknown to a process that took the turn"
        yield from (f"{it}: lost" for it in life.admitted.keys() - outcomes.keys())
        if code == 0:
            unresolved = life.admitted.keys() - life.resolved.keys()
            yield from (f"{it}: its future was never resolved" for it in unresolved)
        for it, said in (*life.resolved.items(), *life.told.items()):
            if it in outcomes and not self._may_become(said, outcomes[it]):
                yield f"{it}: {' '.join(said)} to a process, and {outcomes[it].state} in the end"

    def _may_become(self, said: list[str], outcome: Outcome) -> bool:
        now = [str(outcome.state), str(outcome.resource_id)][: len(said)]
        # On a full disk an outcome is true though it cannot be kept.
        unkept = self._events["fulls"] and said[0] == State.SENT
        settled = self._events["persons"] and said[0] == State.UNKNOWN
        return now == said or settled or bool(unkept and outcome.state is State.UNKNOWN)

    def _of_file(self, outcomes: dict[str, Outcome]) -> Iterator[str]:
        accepted: dict[str, list[str]] = {}
        for sent in self._sandbox.sent:
            accepted.setdefault(sent.text, []).append(sent.resource_id)
        yield from (f"{it}: accepted, and not kept" for it in accepted.keys() - outcomes.keys())
        for it, outcome in outcomes.items():
            ids = accepted.get(it, [])
            if len(ids) > 1 + self._denied[it]:
                yield f"{it}: accepted {len(ids)} times"
            if outcome.state is State.SENT and outcome.resource_id not in ids:
                if number_of(it) not in self._lied:
                    yield f"{it}: sent, and not accepted as such"
            elif outcome.state is State.EXPIRED and self._clock_path:
                if len(ids) > self._denied[it]:
                    yield f"{it}: expired, and accepted"
            elif outcome.state not in (State.SENT, State.UNKNOWN):
                yield f"{it}: {outcome.state} in the end"

    def _of_pace(self) -> Iterator[str]:
        # As they left, and not as they arrived: a busy machine lets them arrive together.
        left = [(at, str(life.number)) for _, life in self._ended for at in life.left]
        tight = [*crowded(left, self._rate, TIGHT)]
        if len(tight) > 1 + len(left) / 1_000:
            yield from (
                f"{n} of {who} senders in the second before {at:.3f}" for n, who, at in tight
            )

    def _of_dates(self) -> Iterator[str]:
        """Find what left after its end, by the clock that was shown then, and not just set."""
        ends = dict(itertools.chain(*(life.admitted.items() for _, life in self._ended)))
        offset = time.time() - time.monotonic()
        for sent in self._sandbox.sent:
            at, ahead = max(shown for shown in self._shown if shown[0] <= sent.time)
            late = sent.time + offset + ahead - ends.get(sent.text, math.inf)
            if late > 0.5 and sent.time > at + 0.5:
                yield f"{sent.text}: left {late:.1f} seconds after its end"


def looking(path: Path) -> sqlite3.Connection:
    """Open a file to look at it, without a hand on its log."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--rate", type=float, default=RATE)
    for event, what in EVENTS.items():
        parser.add_argument(f"--{event.replace('_', '-')}", type=int, default=0, help=what)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        torture = Torture(Path(folder), wanted.seed, processes=wanted.processes, rate=wanted.rate)
        figures = torture.run(**{event: getattr(wanted, event) for event in EVENTS})
    end_with(figures)


if __name__ == "__main__":
    main()
