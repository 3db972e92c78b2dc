"""A receipt whose resource id nobody has: it settles an unknown message, or a person does."""

import contextlib
import sqlite3
import time
from pathlib import Path

import pytest
from disk import DAY, MONTH, SCHEMA, begin
from hypothesis import given, settings
from hypothesis import strategies as st
from line import named
from receipt import ARRIVED, NUMBER, OTHER, receipt

from orange_sms_async import (
    DeliveryReceipt,
    DeliveryStatus,
    InvalidMessage,
    OutcomeUnknown,
    Priority,
    ResourceId,
)
from orange_sms_async.outbox import Claim, Entry
from orange_sms_async.outbox.sqlite import SqliteOutbox, received, settling, statements
from orange_sms_async.outcomes import OnUnknown, Outcome, State


class Story:
    """Messages and receipts in an outbox, at times the test says."""

    def __init__(self, path: Path) -> None:
        self.outbox = SqliteOutbox(path)
        self.claims: dict[str, Claim] = {}

    async def claim(self, at: float) -> None:
        claim = await self.outbox.claim(at)
        assert claim
        self.claims[claim.reference] = claim

    async def sending(
        self,
        reference: str,
        at: float,
        number: str = NUMBER,
        on_unknown: OnUnknown = "report",
    ) -> None:
        entry = Entry(named(reference, number), Priority.NORMAL, on_unknown=on_unknown)
        await self.outbox.add(entry)
        await self.claim(at)

    async def unknown(self, reference: str, at: float, number: str = NUMBER, *, taken=False):
        await self.sending(reference, at, number)
        error = OutcomeUnknown("no answer")
        error.accepted = taken
        return await self.settled(Outcome(reference, State.UNKNOWN, error=error), at + 30)

    async def sent(self, reference: str, resource_id: str, at: float, number: str = NUMBER):
        await self.sending(reference, at, number)
        return await self.settled(Outcome(reference, State.SENT, ResourceId(resource_id)), at + 1)

    async def twice(self, reference: str, at: float, *, lost=False) -> None:
        """Sent, unknown, and sent again: accepted under one id, and perhaps under two."""
        await self.sending(reference, at, on_unknown="resend")
        await self.outbox.put_back(self.claims[reference], again=True)
        await self.claim(at + 40)
        outcome = Outcome(reference, State.SENT, ResourceId("second"))
        if lost:
            outcome = Outcome(reference, State.UNKNOWN, error=OutcomeUnknown())
        await self.settled(outcome, at + 41)

    async def not_sent(self, reference: str) -> None:
        await self.outbox.put_back(self.claims[reference], again=False)

    async def kept(self, outcome: Outcome, at: float) -> list[Outcome]:
        return await self.outbox.settle(self.claims[outcome.reference], outcome, at)

    async def settled(self, outcome: Outcome, at: float) -> dict[str, Outcome]:
        return {each.reference: each for each in await self.kept(outcome, at)}

    async def comes(self, resource_id: str, at: float, **what: str) -> tuple[Outcome, bool] | None:
        return await self.outbox.keep(receipt(resource_id, **what), at)


@pytest.fixture
async def story(path):
    story = Story(path)
    await begin(story.outbox, 0.0, MONTH)
    yield story
    await story.outbox.aclose()


ATTEMPT = 1_000.0


@pytest.mark.parametrize("status", [*DeliveryStatus, "SomethingNew"])
@pytest.mark.parametrize("at", [ATTEMPT, ATTEMPT + 31, ATTEMPT + DAY])
async def test_an_unknown_message_is_settled_by_its_receipt(story, status, at):
    """
    Whatever the receipt says, Orange took the message: its outcome says who told it.
    """
    await story.unknown("a", ATTEMPT)
    outcome, settled = await story.comes("81e4", at, status=status)

    assert settled
    assert ("a", State.SENT, "81e4", None) == (
        outcome.reference,
        outcome.state,
        outcome.resource_id,
        outcome.error,
    )
    assert ("receipt", status) == (outcome.settled_by, outcome.delivery.status)
    assert outcome == await story.outbox.find("a")


DOUBTS = {
    "it came before the attempt": lambda s: (s.unknown("a", ATTEMPT), s.comes("x", ATTEMPT - 1)),
    "it came too late": lambda s: (s.unknown("a", ATTEMPT), s.comes("x", ATTEMPT + DAY + 1)),
    "it is to another number": lambda s: (
        s.unknown("a", ATTEMPT),
        s.comes("x", ATTEMPT + 60, number=OTHER),
    ),
    "it has no id": lambda s: (s.unknown("a", ATTEMPT), s.comes("", ATTEMPT + 60)),
    "its id is of another message": lambda s: (
        s.unknown("a", ATTEMPT),
        s.sent("b", "x", ATTEMPT + 10),
        s.comes("x", ATTEMPT + 60),
    ),
    "two are unknown": lambda s: (
        s.unknown("a", ATTEMPT),
        s.unknown("b", ATTEMPT + 10),
        s.comes("x", ATTEMPT + 60),
    ),
    "another is on the wire": lambda s: (
        s.unknown("a", ATTEMPT),
        s.sending("b", ATTEMPT + 10),
        s.comes("x", ATTEMPT + 60),
    ),
    "its id was heard of before the attempt": lambda s: (
        s.comes("x", ATTEMPT - 1, status="MessageWaiting"),
        s.unknown("a", ATTEMPT),
        s.comes("x", ATTEMPT + 60),
    ),
    "another id may be its own": lambda s: (
        s.unknown("a", ATTEMPT),
        s.sending("b", ATTEMPT + 10),
        s.comes("x", ATTEMPT + 11),
        s.not_sent("b"),
        s.comes("y", ATTEMPT + 60),
    ),
    "another was accepted without an id": lambda s: (
        s.unknown("b", ATTEMPT - 2 * DAY, taken=True),
        s.unknown("a", ATTEMPT),
        s.comes("x", ATTEMPT + 60),
    ),
    "another was sent twice": lambda s: (
        s.twice("b", ATTEMPT - 100),
        s.unknown("a", ATTEMPT),
        s.comes("x", ATTEMPT + 60),
    ),
}


@pytest.mark.parametrize("doubt", DOUBTS)
async def test_in_doubt_a_person_decides(story, doubt):
    """
    The message stays unknown, and the receipt is kept.
    """
    for step in DOUBTS[doubt](story):
        await step

    assert State.UNKNOWN is (await story.outbox.find("a")).state


async def test_one_accepted_without_an_id_is_settled_too(story):
    """
    It is the candidate itself that has no id.
    """
    await story.unknown("a", ATTEMPT, taken=True)
    outcome, _ = await story.comes("81e4", ATTEMPT + 60)

    assert ("a", "81e4") == (outcome.reference, outcome.resource_id)


async def test_later_receipts_of_a_settled_message_are_its_own(story):
    """
    It is settled once, and then goes on as any other.
    """
    await story.unknown("a", ATTEMPT)
    first = await story.comes("81e4", ATTEMPT + 60, status="MessageWaiting")
    await story.unknown("b", ATTEMPT + 70)
    second = await story.comes("81e4", ATTEMPT + 90)

    assert [("a", True), ("a", False)] == [(o.reference, new) for o, new in (first, second)]
    assert ARRIVED == second[0].delivery.status
    assert State.UNKNOWN is (await story.outbox.find("b")).state


async def test_a_receipt_that_came_while_its_message_was_on_the_wire(story):
    """
    The answer is lost then, and the receipt tells what it would have told.
    """
    await story.sending("a", ATTEMPT)
    assert await story.comes("81e4", ATTEMPT + 5) is None
    lost = Outcome("a", State.UNKNOWN, error=OutcomeUnknown())
    settled = (await story.settled(lost, ATTEMPT + 30))["a"]

    assert (State.SENT, "81e4", "receipt") == (
        settled.state,
        settled.resource_id,
        settled.settled_by,
    )
    assert ARRIVED == settled.delivery.status


async def test_an_address_that_does_not_say_tel(story):
    """
    It is the same number, also when its receipt came first.
    """
    await story.sending("a", ATTEMPT)
    bare = DeliveryReceipt(resource_id=ResourceId("81e4"), status=ARRIVED, address=NUMBER)
    await story.outbox.keep(bare, ATTEMPT + 5)
    lost = Outcome("a", State.UNKNOWN, error=OutcomeUnknown())

    assert "81e4" == (await story.settled(lost, ATTEMPT + 30))["a"].resource_id


async def test_a_receipt_that_came_while_another_was_on_the_wire(story):
    """
    When that one has its own id, it is clear whose the receipt was.
    """
    await story.unknown("a", ATTEMPT)
    await story.sending("b", ATTEMPT + 40)
    assert await story.comes("81e4", ATTEMPT + 41) is None
    settled = await story.settled(Outcome("b", State.SENT, ResourceId("id-b")), ATTEMPT + 42)

    assert {"b": "id-b", "a": "81e4"} == {name: o.resource_id for name, o in settled.items()}
    assert "receipt" == settled["a"].settled_by


async def test_two_receipts_for_one_message(story):
    """
    One of them is of somebody else: a person decides, and sees both.
    """
    await story.sending("a", ATTEMPT)
    for resource_id in ("81e4", "92f5"):
        await story.comes(resource_id, ATTEMPT + 5)
    await story.settled(Outcome("a", State.UNKNOWN, error=OutcomeUnknown()), ATTEMPT + 30)
    seen = await story.outbox.perhaps_of("a")

    assert State.UNKNOWN is (await story.outbox.find("a")).state
    assert ["81e4", "92f5"] == [receipt.resource_id for receipt in seen]


async def test_of_a_message_sent_again_the_first_attempt_counts(story):
    """
    Its receipt may be the one of either.
    """
    await story.sending("a", ATTEMPT, on_unknown="resend")
    await story.outbox.put_back(story.claims["a"], again=True)
    await story.claim(ATTEMPT + 60)
    await story.comes("81e4", ATTEMPT + 30)
    lost = Outcome("a", State.UNKNOWN, error=OutcomeUnknown())

    assert "81e4" == (await story.settled(lost, ATTEMPT + 90))["a"].resource_id


async def test_an_id_is_no_second_messages(story):
    """
    A person who mistook one for the other is told so, and nothing is changed.
    """
    await story.sent("a", "81e4", ATTEMPT)
    await story.unknown("b", ATTEMPT)
    with pytest.raises(InvalidMessage, match="another message"):
        await story.outbox.resolve("b", ResourceId("81e4"), ATTEMPT + 60)

    assert State.UNKNOWN is (await story.outbox.find("b")).state


async def test_an_empty_id_settles_nothing(story):
    """
    A form that was left empty: who submits the message again would wait for an id for ever.
    """
    await story.unknown("a", ATTEMPT)
    with pytest.raises(InvalidMessage, match="empty"):
        await story.outbox.resolve("a", ResourceId(""), ATTEMPT + 60)

    assert State.UNKNOWN is (await story.outbox.find("a")).state


async def test_what_was_sent_twice_is_forgotten_after_a_day(story):
    """
    Its first id may be reported until then, and would be taken for that of another message.
    """
    now = time.time()
    await story.twice("b", now - 100)
    await story.unknown("a", now - 60)
    await story.outbox.forget()
    assert await story.comes("first", now) is None

    assert State.UNKNOWN is (await story.outbox.find("a")).state


async def test_what_a_person_settled_was_sent_twice_all_the_same(story):
    """
    One of its ids is known then, and the other may still be reported.
    """
    await story.twice("b", ATTEMPT, lost=True)
    await story.outbox.resolve("b", ResourceId("second"), ATTEMPT + 50)
    await story.unknown("a", ATTEMPT + 60)
    assert await story.comes("first", ATTEMPT + 100) is None

    assert State.UNKNOWN is (await story.outbox.find("a")).state


@pytest.mark.parametrize("number", [NUMBER, OTHER])
async def test_what_was_sent_twice_is_remembered_beside_an_unknown_one(story, number):
    """
    However long ago: the receipt that may be of either of them is still there.
    """
    now = time.time()
    await story.twice("b", now - 2 * DAY)
    await story.unknown("a", now - 2 * DAY, number)
    await story.comes("first", now - 2 * DAY + 50)

    assert (number == OTHER) is (await story.outbox.forget() == 1)
    await story.sent("c", "id-c", now)
    assert State.UNKNOWN is (await story.outbox.find("a")).state


@pytest.mark.parametrize("forget", [True, False])
async def test_a_receipt_outlives_no_message_that_it_is_of(story, forget):
    """
    Or it would be nobody's, and taken for that of an unknown one to the same number.
    """
    await story.sent("b", "id-b", ATTEMPT)
    await story.unknown("a", ATTEMPT)
    await story.comes("id-b", ATTEMPT + DAY / 2)
    if forget:
        await story.outbox.forget()
    await story.sent("c", "id-c", ATTEMPT + 30 * DAY + 60)
    await story.sent("d", "id-d", ATTEMPT + 30 * DAY + 120)

    assert State.UNKNOWN is (await story.outbox.find("a")).state


async def test_who_settles_a_message_finds_its_receipts(story):
    """
    The id that a person found may have been reported on before.
    """
    await story.unknown("a", ATTEMPT)
    await story.unknown("b", ATTEMPT)
    await story.comes("70d3", ATTEMPT - 1)
    await story.comes("81e4", ATTEMPT + 60)
    seen = {name: await story.outbox.perhaps_of(name) for name in "ab"}
    await story.outbox.resolve("a", ResourceId("81e4"), ATTEMPT + 100)
    outcome = await story.outbox.find("a")

    assert {"a": [receipt("81e4")], "b": [receipt("81e4")]} == seen
    assert ("person", ARRIVED) == (outcome.settled_by, outcome.delivery.status)
    assert [] == await story.outbox.perhaps_of("b")


async def test_when_one_of_two_is_settled_so_may_be_the_other(story):
    """
    The receipt that might have been of either is of the other then.
    """
    await story.unknown("a", ATTEMPT)
    await story.unknown("b", ATTEMPT)
    await story.comes("81e4", ATTEMPT + 60)
    first, second = await story.outbox.resolve("a", ResourceId("70d3"), ATTEMPT + 100)

    assert first == await story.outbox.find("a")
    assert second == await story.outbox.find("b")
    assert (State.SENT, "81e4", "receipt") == (
        second.state,
        second.resource_id,
        second.settled_by,
    )


async def a_person_is_wrong(story, at: float = ATTEMPT) -> None:
    """Orange took the first as A; a person calls it not sent, and it is sent again as B."""
    await story.unknown("a", at)
    await story.outbox.resolve("a", None, at + 100)
    await story.claim(at + 110)
    await story.settled(Outcome("a", State.SENT, ResourceId("B")), at + 111)


@pytest.mark.parametrize("at", [ATTEMPT + 300, ATTEMPT - 7_200], ids=["later", "clock put back"])
@pytest.mark.parametrize("again", [False, True], ids=["at once", "after a restart"])
async def test_a_receipt_settles_no_other_than_its_own_message(story, at, again):
    """
    M2 to the same number never arrives: receipt A is of M1, whatever the person said.
    """
    await a_person_is_wrong(story)
    await story.unknown("m2", at - 60)
    if again:
        await story.outbox.aclose()
        await begin(story.outbox, at, MONTH)

    assert await story.comes("A", at) is None
    assert State.UNKNOWN is (await story.outbox.find("m2")).state


async def test_a_number_is_in_doubt_for_a_day(story):
    """
    After 24 hours no receipt of the first attempt comes any more, says Orange.
    """
    await a_person_is_wrong(story)
    await story.unknown("m2", ATTEMPT + DAY)
    outcome, settled = await story.comes("C", ATTEMPT + DAY + 200)

    assert (True, "m2") == (settled, outcome.reference)


async def test_a_denied_message_keeps_its_number_while_it_is_in_doubt(story):
    """
    To forget it would let its receipt settle another's message.
    """
    now = time.time()
    await a_person_is_wrong(story, now - 200)
    await story.outbox.forget()
    await story.unknown("m2", now)

    assert await story.comes("A", now + 100) is None


# -- whatever happens ----------------------------------------------------------------------------

HAPPENINGS = st.sampled_from(
    [
        "leaves",
        "leaves",
        "answered",
        "lost",
        "lost",
        "cut",
        "not_sent",
        "reported",
        "crash",
        "resolved",
        "forgotten",
        "later",
    ]
)
STEPS = st.tuples(HAPPENINGS, st.integers(0, 3), st.sampled_from([1, 60, 40_000]))


class Truth:
    """An Orange that knows whose each resource id is, and an outbox that may be told too late."""

    def __init__(self) -> None:
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        self.db.executescript(SCHEMA)
        self.now, self.count = 1_000.0, 0
        self.on_wire: list[Claim] = []
        self.accepted: dict[str, tuple[str, float]] = {}  # resource id to reference and time
        self.ids: dict[str, str] = {}  # of those on the wire that Orange took

    def close(self) -> None:
        self.db.close()

    def leaves(self, n: int) -> None:
        """What waits leaves, and a new message; its request arrives at Orange or does not."""
        self.count += 1
        on_unknown: OnUnknown = "resend" if n == 3 else "report"
        entry = Entry(named(f"m{self.count}"), Priority.NORMAL, on_unknown=on_unknown)
        statements.admit(self.db, entry, self.now)
        while claim := statements.claim(self.db, "this process", self.now):
            self.on_wire.append(claim)
            self.ids.pop(claim.reference, None)
            if n:
                resource_id = f"id-{len(self.accepted)}"
                self.ids[claim.reference] = resource_id
                self.accepted[resource_id] = claim.reference, self.now

    def answered(self, n: int) -> None:
        for claim in self.on_wire[n : n + 1]:
            if resource_id := self.ids.get(claim.reference):
                self._settle(claim, Outcome(claim.reference, State.SENT, ResourceId(resource_id)))

    def lost(self, n: int) -> None:
        """No answer: it is sent again where that was asked for."""
        for claim in self.on_wire[n : n + 1]:
            if claim.entry.on_unknown == "resend" and not claim.again:
                self._put_back(claim, again=True)
            else:
                self._unknown(claim, accepted=False)

    def cut(self, n: int) -> None:
        """A 201 whose id cannot be read."""
        for claim in self.on_wire[n : n + 1]:
            if claim.reference in self.ids:
                self._unknown(claim, accepted=True)

    def not_sent(self, n: int) -> None:
        for claim in self.on_wire[n : n + 1]:
            if claim.reference not in self.ids:
                self._put_back(claim, again=claim.again)

    def reported(self, n: int) -> None:
        """One of the receipts comes that can still come."""
        coming = [key for key, (_, at) in self.accepted.items() if self.now <= at + DAY]
        for resource_id in coming[-1 - n :][:1]:
            settling.keep(self.db, receipt(resource_id), self.now)

    def crash(self, _: int) -> None:
        self.on_wire.clear()
        settling.recover(self.db, "", self.now)

    def resolved(self, n: int) -> None:
        """A person says one of the ids of an unknown message, or truly that it has none."""
        unknown = [outcome.reference for _, outcome in statements.page(self.db, State.UNKNOWN, 0)]
        for reference in unknown[n : n + 1]:
            ids = [key for key, (owner, _) in self.accepted.items() if owner == reference]
            sent = ResourceId(ids[0]) if ids else None
            settling.resolve(self.db, reference, sent, self.now)

    def forgotten(self, _: int) -> None:
        statements.forget_content(self.db, self.now)

    def later(self, n: int) -> None:
        """What is old goes, be it of messages or of receipts."""
        statements.forget_old(self.db, self.now, DAY)
        received.forget_old(self.db, self.now, DAY)

    def _put_back(self, claim: Claim, *, again: bool) -> None:
        self.on_wire.remove(claim)
        statements.put_back(self.db, claim, again)

    def _unknown(self, claim: Claim, *, accepted: bool) -> None:
        error = OutcomeUnknown()
        error.accepted = accepted
        self._settle(claim, Outcome(claim.reference, State.UNKNOWN, error=error))

    def _settle(self, claim: Claim, outcome: Outcome) -> None:
        self.on_wire.remove(claim)
        settled = settling.settle_claimed(self.db, claim, outcome, self.now)
        assert settled

    def go(self, steps) -> list[Outcome]:
        """Take the steps; return what became of all messages."""
        for happening, n, seconds in steps:
            self.now += seconds
            getattr(self, happening)(n)
        return [outcome for _, outcome in statements.page(self.db, None, 0)]


@settings(max_examples=400, deadline=None)
@given(st.lists(STEPS, min_size=5, max_size=30))
def test_no_receipt_settles_a_message_it_is_not_of(steps):
    """
    Whatever is lost, cut, sent twice or crashes, in whatever order: an id is its owner's alone.
    """
    with contextlib.closing(Truth()) as truth:
        outcomes = truth.go(steps)

    owners = {key: reference for key, (reference, _) in truth.accepted.items()}
    known = {outcome.resource_id: outcome.reference for outcome in outcomes if outcome.resource_id}
    assert known.items() <= owners.items()


def test_such_a_walk_does_settle_messages():
    """
    Or the one before would show nothing.
    """
    with contextlib.closing(Truth()) as truth:
        [outcome] = truth.go([("leaves", 1, 0), ("lost", 0, 30), ("reported", 0, 30)])

    assert ("id-0", "receipt") == (outcome.resource_id, outcome.settled_by)
