"""What every outbox does: random steps over it and over a dict, which must agree."""

import asyncio
import math
import shutil
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest
from disk import begin
from fleet_store import Fleet
from hypothesis import given, settings
from hypothesis import strategies as st
from line import sms
from outbox.elsewhere import Elsewhere, ThreeProcesses

from orange_sms_async import (
    InvalidMessage,
    MessageWithdrawn,
    Outcome,
    OutcomeUnknown,
    Priority,
    RequestRejected,
    ResourceId,
    SqliteOutbox,
    State,
)
from orange_sms_async.outbox import Claim, Entry
from orange_sms_async.outbox.memory import MemoryOutbox

MONTH = timedelta(days=30)
MOST = 4  # that is counted under a name


class Memory:
    """Forgets what is finished, and cannot crash and come back."""

    def __init__(self, folder: Path) -> None:
        pass

    def open(self) -> MemoryOutbox:
        return MemoryOutbox()


class File:
    """Comes back after a crash, as the process left it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "outbox.db"

    def open(self) -> SqliteOutbox:
        return SqliteOutbox(self.path)

    def crash(self) -> None:
        folder = Path(tempfile.mkdtemp(dir=self.path.parent))
        for file in self.path.parent.glob(f"{self.path.name}*"):
            shutil.copy(file, folder)
        self.path = folder / self.path.name


class SharedFile(File):
    """The same, open in three processes."""

    others: ClassVar[list[Elsewhere]] = []

    def open(self) -> SqliteOutbox:
        while len(self.others) < 2:
            self.others.append(Elsewhere())
        return ThreeProcesses(self.path, self.others)


STORES = {"memory": Memory, "sqlite": File, "sqlite in three processes": SharedFile}


@pytest.fixture(scope="module", params=[*STORES, "postgres"])
def store(request):
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        return lambda _: Fleet(server)
    return STORES[request.param]


class Row:
    """What an outbox should hold of a message."""

    def __init__(self, entry: Entry) -> None:
        self.entry, self.claims = entry, 0
        self.claim: Any = None
        self.may_go_again, self.again = entry.on_unknown == "resend", False
        self.state = State.SCHEDULED if entry.not_before else State.QUEUED

    @property
    def reference(self) -> str:
        return self.entry.message.reference


class Model:
    """An outbox as a dict, in the order of the first submit."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.counted: dict[tuple[str, str], tuple[int, float]] = {}
        self.listed: set[str] = set()

    def of(self, *states: State) -> list[Row]:
        return [row for row in self.rows.values() if row.state in states]

    def next(self, now: float) -> Row | None:
        for row in self.of(State.SCHEDULED):
            if row.entry.not_before <= now:
                row.state = State.QUEUED
        return min(self.of(State.QUEUED), key=lambda row: row.entry.priority, default=None)

    def ready_at(self) -> float | None:
        due = (row.entry.not_before for row in self.of(State.SCHEDULED))
        return 0.0 if self.of(State.QUEUED) else min(due, default=None)

    def take(self, name: str, member: str, units: int, *, until: float, now: float) -> bool:
        lapsed = [key for key, (_, end) in self.counted.items() if end <= now]
        for key in lapsed:
            del self.counted[key]
        total = sum(many for (of, _), (many, _) in self.counted.items() if of == name)
        before = self.counted.get((name, member))
        if before is None and total + units > MOST:
            return False
        self.counted[name, member] = before[0] if before else units, until
        return True

    def give_back(self, member: str) -> None:
        self.counted = {key: it for key, it in self.counted.items() if key[1] != member}

    def over(self, row: Row, *, durable: bool) -> None:
        """Of what is finished, only what was not sent is given back; memory then forgets whose."""
        if row.state in (State.FAILED, State.WITHDRAWN, State.EXPIRED):
            self.give_back(row.reference)
        elif not durable:
            for key in [key for key in self.counted if key[1] == row.reference]:
                self.counted[key[0], f"{row.reference}, sent {len(self.counted)}"] = (
                    self.counted.pop(key)
                )

    def crash(self, now: float) -> None:
        for row in self.of(State.SENDING):
            row.state = State.QUEUED if row.may_go_again else State.UNKNOWN
            row.may_go_again, row.again = False, row.may_go_again or row.again
        for row in self.of(State.QUEUED, State.SCHEDULED):
            if row.entry.expires_at <= now:
                row.state = State.UNKNOWN if row.again else State.EXPIRED
                self.over(row, durable=True)


class Walk:
    """The same steps over an outbox and over the model of it."""

    def __init__(self, store) -> None:
        self.store, self.model, self.now = store, Model(), 1.0
        self.outbox = store.open()
        self.over: list[Claim] = []  # claims that were settled or put back

    async def add(self, n, k):
        entry = self.entry(n, k)
        if not self.outbox.durable:  # its queue asks for no reference twice
            self.model.rows.setdefault(entry.message.reference, row := Row(entry))
            if self.model.rows[str(n)] is row:
                assert self.outbox.add(entry) is None
            return
        known = self.model.rows.setdefault(entry.message.reference, row := Row(entry))
        outcome = await self.outbox.add(entry)

        assert (outcome is None) == (known is row)
        assert outcome is None or outcome.state is known.state
        with pytest.raises(InvalidMessage):
            await self.outbox.add(Entry(sms("autre", reference=str(n)), Priority.NORMAL))

    def entry(self, n, k):
        expires_at = self.now + 3 if n % 3 == 1 else math.inf
        not_before = self.now + k if k > 2 else 0.0
        return Entry(
            sms(str(n), reference=str(n)),
            Priority(k % 3),
            not_before,
            expires_at,
            on_unknown="resend" if n % 3 == 0 else "report",
        )

    async def claim(self, n, k):
        expected = self.model.next(self.now)
        claim = await self.outbox.claim(self.now)

        assert (expected and expected.reference) == (claim and claim.reference)
        if expected:
            expected.claims += 1
            expected.claim, expected.state = claim, State.SENDING
            assert said_of(expected.entry) == said_of(claim.entry)
            assert (expected.may_go_again or expected.again) == (claim.entry.on_unknown == "resend")
            assert (expected.claims, expected.again) == (claim.attempt, claim.again)

    async def put_back(self, n, k):
        for row in self.model.of(State.SENDING)[:1]:
            row.again = row.again or (row.may_go_again and bool(k % 2))
            row.may_go_again = row.may_go_again and not row.again
            row.state = State.QUEUED
            await self.outbox.put_back(row.claim, again=row.again)
            self.over.append(row.claim)

    async def put_back_for_later(self, n, k):
        for row in self.model.of(State.SENDING)[:1]:
            row.entry.not_before, row.state = self.now + 1 + k, State.SCHEDULED
            at = row.entry.not_before
            await self.outbox.put_back(row.claim, again=row.again, not_before=at)
            self.over.append(row.claim)

    async def settle(self, n, k):
        for row in self.model.of(State.SENDING)[:1]:
            row.state = (State.SENT, State.FAILED, State.UNKNOWN)[k % 3]
            settled = await self.outbox.settle(row.claim, outcome(row), self.now)
            self.over.append(row.claim)
            self.model.over(row, durable=self.outbox.durable)

            assert [row.reference] == [each.reference for each in settled]

    async def settle_what_is_over(self, n, k):
        """Of a claim that somebody else has by now, or that another one followed."""
        for claim in self.over[-1:]:
            row = self.model.rows.get(claim.reference)
            stale = attrs.evolve(claim, owner="somebody else")
            unknown = Outcome(claim.reference, State.UNKNOWN, error=OutcomeUnknown())

            assert [] == await self.outbox.settle(stale, unknown, self.now)
            await self.outbox.put_back(stale, again=True)
            if row is None or row.claim is not claim or row.state is not State.SENDING:
                assert [] == await self.outbox.settle(claim, unknown, self.now)
                await self.outbox.put_back(claim, again=True)

    async def settle_late(self, n, k):
        """What really happened settles an UNKNOWN message, by its last claim."""
        for row in self.model.of(State.UNKNOWN)[:1]:
            if row.claim is None or not self.outbox.durable:
                continue
            row.state = (State.SENT, State.FAILED)[k % 2]
            settled = await self.outbox.settle(row.claim, outcome(row), self.now)
            self.model.over(row, durable=True)

            assert row.state is settled[0].state

    async def withdraw(self, n, k):
        row = self.model.rows.get(str(n))
        waits = row is not None and row.state.waits and not row.again
        gone = Outcome(str(n), State.WITHDRAWN, error=MessageWithdrawn())

        assert waits == await self.outbox.withdraw(gone, self.now)
        if row and waits:
            row.state = State.WITHDRAWN
            self.model.over(row, durable=self.outbox.durable)

    async def take(self, n, k):
        name, within = (f"of {k % 2}", 3.0 + k % 2)
        units, until, now = 1 + n % 2, self.now + within, self.now
        expected = self.model.take(name, str(n), units, until=until, now=now)
        taken = await self.outbox.notes.take(name, str(n), units, most=MOST, within=within, now=now)

        assert expected is taken

    async def give_back(self, n, k):
        self.model.give_back(str(n))
        await self.outbox.notes.give_back(str(n))

    async def list(self, n, k):
        notes, member = self.outbox.notes, f"{n:032x}"
        if k % 2:
            self.model.listed |= {member, "a"}
            await notes.enter("list", [member, "a"])
        else:
            self.model.listed.discard(member)
            await notes.strike("list", member)

        assert sorted(self.model.listed) == sorted(await notes.members("list"))
        assert bool(k % 2) is await notes.has("list", member)
        assert not await notes.has("another", member)

    async def resolve(self, n, k):
        row = self.model.rows.get(str(n))
        known = self.outbox.durable and row is not None and row.state is State.UNKNOWN
        sent = ResourceId(f"found-{n}") if k % 2 else None

        assert known is bool(await self.outbox.resolve(str(n), sent, self.now))
        if known:
            row.state = State.SENT if sent else State.QUEUED
            row.again = row.again and sent is not None

    async def wait(self, n, k):
        self.now += k

    async def crash(self, n, k):
        if not self.outbox.durable:
            return
        self.store.crash()
        await self.outbox.aclose()
        self.outbox = self.store.open()
        before = {reference: row.state for reference, row in self.model.rows.items()}
        self.model.crash(self.now)
        changed = {reference: row.state for reference, row in self.model.rows.items()}
        recovered = await begin(self.outbox, self.now, MONTH)

        assert {each.reference: each.state for each in recovered} == {
            reference: state
            for reference, state in changed.items()
            if state is not before[reference] and state is not State.QUEUED
        }

    async def compare(self):
        if not self.outbox.durable:  # what is finished is forgotten
            rows = self.model.rows.items()
            self.model.rows = {key: row for key, row in rows if not row.state.finished}
        expected = {reference: row.state for reference, row in self.model.rows.items()}
        kept = [each async for each in self.outbox.outcomes(None)]
        waiting = Counter(row.entry.priority for row in self.model.rows.values() if row.state.waits)

        assert [*expected.items()] == [(each.reference, each.state) for each in kept]
        assert {lane: waiting[lane] for lane in Priority} == {
            lane: self.outbox.waiting(lane) for lane in Priority
        }
        assert waiting.total() + len(self.model.of(State.SENDING)) == self.outbox.unfinished
        assert self.model.ready_at() == await self.outbox.ready_at()

    async def go(self, steps):
        assert [] == await begin(self.outbox, self.now, MONTH)
        try:
            for name, n, k in steps:
                await getattr(self, name)(n, k)
                await self.compare()
        finally:
            await self.outbox.aclose()


def said_of(entry: Entry) -> tuple[object, ...]:
    """All of it; an outbox may write down which address is meant where none was given."""
    message = entry.message
    whole = message.to, message.text, message.sender_name, message.sender_address, message.on_net
    return *whole, message.reference, entry.priority, entry.not_before, entry.expires_at


def outcome(row: Row) -> Outcome:
    errors = {State.FAILED: RequestRejected(), State.UNKNOWN: OutcomeUnknown()}
    sent = ResourceId(f"id-{row.reference}-{row.claims}") if row.state is State.SENT else None
    return Outcome(row.reference, row.state, sent, errors.get(row.state))


NAMES = (
    "add", "add", "add", "claim", "claim", "claim", "put_back", "put_back_for_later", "settle",
    "settle_what_is_over", "settle_late", "take", "take", "give_back", "list", "withdraw",
    "resolve", "wait", "crash",
)  # fmt: skip
STEPS = st.tuples(st.sampled_from(NAMES), st.integers(0, 9), st.integers(0, 5))


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(STEPS, min_size=10, max_size=60))
def test_the_outbox_agrees_with_a_dict(store, steps):
    """
    Whatever is done to it in whatever order, crashes and claims that are over included.
    """
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(Walk(store(Path(folder))).go(steps))
