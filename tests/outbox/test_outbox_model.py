"""The file agrees with a dict, whatever is done to it."""

import asyncio
import math
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from disk import MONTH, crash
from hypothesis import given, settings
from hypothesis import strategies as st
from line import named, sms

from orange_sms_async import (
    InvalidMessage,
    MessageWithdrawn,
    OutcomeUnknown,
    Priority,
    RequestRejected,
    ResourceId,
)
from orange_sms_async.outbox import Entry
from orange_sms_async.outbox.sqlite import SqliteOutbox
from orange_sms_async.outcomes import Outcome, State


class Row:
    """What a file should hold of a message."""

    def __init__(self, entry, taken=None):
        self.entry, self.taken = entry, taken
        self.again, self.in_doubt = entry.on_unknown == "resend", False
        self.state = State.SCHEDULED if entry.not_before else State.QUEUED


class Model:
    """An outbox as a dict, in the order of the first submit."""

    def __init__(self):
        self.rows = {}

    def of(self, *states):
        return [row for row in self.rows.values() if row.state in states]

    def next(self, now):
        for row in self.of(State.SCHEDULED):
            if row.entry.not_before <= now:
                row.state = State.QUEUED
        return min(self.of(State.QUEUED), key=lambda row: row.entry.priority, default=None)

    def ready_at(self):
        due = (row.entry.not_before for row in self.of(State.SCHEDULED))
        return 0.0 if self.of(State.QUEUED) else min(due, default=None)

    def crash(self, now):
        for row in self.of(State.SENDING):
            row.state = State.QUEUED if row.again else State.UNKNOWN
            row.again, row.in_doubt = False, row.again or row.in_doubt
        for row in self.of(State.QUEUED, State.SCHEDULED):
            if row.entry.expires_at <= now:
                row.state = State.EXPIRED


class Walk:
    """The same steps over a file and over the model of it."""

    def __init__(self, folder):
        self.path, self.model, self.now = Path(folder) / "outbox.db", Model(), 1.0
        self.outbox = SqliteOutbox(self.path)

    async def add(self, n, k):
        reference = str(n)
        again = "resend" if n % 3 == 0 else "report"
        expires_at = self.now + 3 if n % 3 == 1 else math.inf
        not_before = self.now + k if k > 2 else 0.0
        entry = Entry(named(reference), Priority(k % 3), not_before, expires_at, again)
        known = self.model.rows.setdefault(reference, row := Row(entry))
        outcome = await self.outbox.add(entry)

        assert (outcome is None) == (known is row)
        assert outcome is None or outcome.state is known.state
        with pytest.raises(InvalidMessage):
            await self.outbox.add(Entry(sms("autre", reference=reference), Priority.NORMAL))

    async def take(self, n, k):
        expected = self.model.next(self.now)
        entry = await self.outbox.take(self.now)

        assert (expected and expected.entry.message.text) == (entry and entry.message.text)
        if expected:
            assert expected.entry.expires_at == entry.expires_at
            assert expected.again == (entry.on_unknown == "resend")
            expected.taken, expected.state = entry, State.SENDING

    async def put_back(self, n, k):
        for row in self.model.of(State.SENDING)[:1]:
            row.state = State.QUEUED
            await self.outbox.put_back(row.taken)

    async def settle(self, n, k):
        for row in self.model.of(State.SENDING)[:1]:
            row.state = (State.SENT, State.FAILED, State.UNKNOWN)[k % 3]
            reference = row.entry.message.reference
            errors = {State.FAILED: RequestRejected(), State.UNKNOWN: OutcomeUnknown()}
            sent = ResourceId("id") if row.state is State.SENT else None
            outcome = Outcome(reference, row.state, sent, errors.get(row.state))
            await self.outbox.settle(outcome, self.now)

    async def withdraw(self, n, k):
        row = self.model.rows.get(str(n))
        waits = row is not None and row.state.waits and not row.in_doubt
        outcome = Outcome(str(n), State.WITHDRAWN, error=MessageWithdrawn())

        assert waits == await self.outbox.withdraw(outcome, self.now)
        if waits:
            row.state = State.WITHDRAWN

    async def resolve(self, n, k):
        row = self.model.rows.get(str(n))
        unknown = row is not None and row.state is State.UNKNOWN
        sent = ResourceId(f"found-{n}") if k % 2 else None

        assert unknown is bool(await self.outbox.resolve(str(n), sent, self.now))
        if unknown:
            row.state = State.SENT if sent else State.QUEUED

    async def wait(self, n, k):
        self.now += k

    async def crash(self, n, k):
        self.path = crash(self.path)
        await self.outbox.aclose()
        self.outbox = SqliteOutbox(self.path)
        before = {reference: row.state for reference, row in self.model.rows.items()}
        self.model.crash(self.now)
        changed = {reference: row.state for reference, row in self.model.rows.items()}
        recovered = await self.outbox.open(self.now, MONTH)

        assert {outcome.reference: outcome.state for outcome in recovered} == {
            reference: state
            for reference, state in changed.items()
            if state is not before[reference] and state is not State.QUEUED
        }

    async def compare(self):
        expected = {reference: row.state for reference, row in self.model.rows.items()}
        kept = [outcome async for outcome in self.outbox.outcomes(None)]
        waiting = Counter(row.entry.priority for row in self.model.rows.values() if row.state.waits)

        assert [*expected.items()] == [(outcome.reference, outcome.state) for outcome in kept]
        assert {lane: waiting[lane] for lane in Priority} == {
            lane: self.outbox.waiting(lane) for lane in Priority
        }
        assert waiting.total() + len(self.model.of(State.SENDING)) == self.outbox.unfinished
        assert self.model.ready_at() == await self.outbox.ready_at()

    async def go(self, steps):
        await self.outbox.open(self.now, MONTH)
        try:
            for name, n, k in steps:
                await getattr(self, name)(n, k)
                await self.compare()
        finally:
            await self.outbox.aclose()


NAMES = ("add", "add", "take", "take", "put_back", "settle", "withdraw", "resolve", "wait", "crash")
STEPS = st.tuples(st.sampled_from(NAMES), st.integers(0, 9), st.integers(0, 5))


@settings(max_examples=40, deadline=None)
@given(st.lists(STEPS, min_size=10, max_size=60))
def test_the_file_agrees_with_a_dict(steps):
    """
    Whatever is done to it in whatever order, crashes included.
    """
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(Walk(folder).go(steps))
