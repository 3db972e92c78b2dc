"""What an outbox in PostgreSQL keeps, for how long, and what a person is told of it."""

from datetime import timedelta

import pytest
from disk import DAY, begin
from line import named
from receipt import ARRIVED, receipt

from orange_sms_async import (
    InvalidMessage,
    OutboxUnusable,
    Outcome,
    OutcomeUnknown,
    PostgresOutbox,
    Priority,
    RequestRejected,
    ResourceId,
    State,
)
from orange_sms_async.outbox import Entry

pytestmark = pytest.mark.real_time

NOW = 1_700_000_000.0


@pytest.fixture
async def outbox(dsn):

    outbox = PostgresOutbox(dsn)
    await begin(outbox, NOW, timedelta(days=2))
    yield outbox
    await outbox.aclose()


async def settled(outbox, reference, state, at, *, number="+2250701020304", error=None):
    await outbox.add(Entry(named(reference, number), Priority.NORMAL))
    claim = await outbox.claim(at)
    sent = ResourceId(f"id-{reference}") if state is State.SENT else None
    return await outbox.settle(claim, Outcome(reference, state, sent, error), at)


async def tidied(outbox, at):
    """Have it forget now, what it else does once a minute."""
    outbox._forget_at = 0.0
    await outbox.tidy(at)
    return [each.reference async for each in outbox.outcomes(None)]


async def test_what_is_finished_is_forgotten_after_its_retention(outbox, db):
    """
    With its receipts; what waits, and what is unknown, stays.
    """
    await settled(outbox, "old", State.SENT, NOW)
    await settled(
        outbox, "unknown", State.UNKNOWN, NOW, number="+2250705060708", error=OutcomeUnknown()
    )
    await outbox.keep(receipt("id-old"), NOW + 1)
    await settled(outbox, "new", State.SENT, NOW + 1.5 * DAY)
    await outbox.add(Entry(named("waiting"), Priority.NORMAL))

    assert ["old", "unknown", "new", "waiting"] == await tidied(outbox, NOW + 1.9 * DAY)
    assert ["unknown", "new", "waiting"] == await tidied(outbox, NOW + 2.1 * DAY)
    assert 0 == await db.fetchval("SELECT count(*) FROM orange_sms.receipt")


async def test_what_may_own_a_receipt_is_kept_with_what_may_own_it_too(outbox):
    """
    Forgotten before, it could not tell its receipts from those of an unknown message.
    """
    await settled(outbox, "sent", State.SENT, NOW)
    await settled(outbox, "unknown", State.UNKNOWN, NOW + 60, error=OutcomeUnknown())

    assert ["sent", "unknown"] == await tidied(outbox, NOW + 3 * DAY)


async def test_a_person_is_told_what_there_is(outbox):
    """
    Counts, deliveries, and what may be an unknown message's.
    """
    await settled(outbox, "sent", State.SENT, NOW)
    await settled(outbox, "failed", State.FAILED, NOW, error=RequestRejected("no", code=7))
    for n in range(2):
        number = "+2250705060708"
        await settled(outbox, f"u{n}", State.UNKNOWN, NOW, number=number, error=OutcomeUnknown())
    await outbox.keep(receipt("id-sent"), NOW + 1)
    await outbox.keep(receipt("whose", number="+2250705060708"), NOW + 2)

    assert {State.SENT: 1, State.FAILED: 1, State.UNKNOWN: 2} == await outbox.counts()
    assert {ARRIVED: 1} == await outbox.deliveries()
    assert 2 == await outbox.awaited(NOW + 3)
    assert ["whose"] == [each.resource_id for each in await outbox.perhaps_of("u0")]
    assert 32 == len(await outbox.key())
    failed = [each async for each in outbox.messages(State.FAILED)]
    assert [("+2250701020304", NOW, NOW)] == [
        (each.to, each.attempted_at, each.finished_at) for each in failed
    ]
    assert 7 == failed[0].outcome.error.code


async def test_forgetting_takes_addresses_of_receipts_too(outbox, db):
    """
    As long as they are of nobody whose number is kept.
    """
    await settled(outbox, "sent", State.SENT, NOW)
    await outbox.keep(receipt("id-sent"), NOW + 1)

    assert 1 == await outbox.forget()
    assert 0 == await db.fetchval("SELECT count(number) + count(address) FROM orange_sms.receipt")
    assert "" == (await outbox.find("sent")).delivery.address


class TestReceipts:
    async def test_one_settles_the_only_unknown_message_it_can_be_of(self, outbox):
        await settled(outbox, "a", State.UNKNOWN, NOW, error=OutcomeUnknown())

        of_nobody = await outbox.keep(receipt(""), NOW)
        outcome, settles = await outbox.keep(receipt("id"), NOW + 1)

        assert of_nobody is None
        assert settles
        assert (State.SENT, "id", ARRIVED) == (
            outcome.state,
            outcome.resource_id,
            outcome.delivery.status,
        )

    async def test_one_that_came_before_the_answer_was_lost(self, outbox):
        await outbox.add(Entry(named("a", "+2250701020304"), Priority.NORMAL))
        claim = await outbox.claim(NOW)
        await outbox.keep(receipt("id"), NOW + 1)

        unknown = Outcome("a", State.UNKNOWN, error=OutcomeUnknown())
        (outcome,) = await outbox.settle(claim, unknown, NOW + 2)

        assert (State.SENT, "id") == (outcome.state, outcome.resource_id)

    async def test_one_that_came_before_the_answer(self, outbox):
        await outbox.add(Entry(named("a", "+2250701020304"), Priority.NORMAL))
        claim = await outbox.claim(NOW)
        await outbox.keep(receipt("id-a"), NOW + 1)

        sent = Outcome("a", State.SENT, ResourceId("id-a"))
        (outcome,) = await outbox.settle(claim, sent, NOW + 2)

        assert ARRIVED == outcome.delivery.status

    @pytest.mark.parametrize(
        ("sent", "wrong"), [("", "empty"), ("id-b", "another message has this resource id")]
    )
    async def test_a_person_names_an_id_that_cannot_be(self, outbox, sent, wrong):
        await settled(outbox, "a", State.UNKNOWN, NOW, error=OutcomeUnknown())
        await settled(outbox, "b", State.SENT, NOW + 1)

        with pytest.raises(InvalidMessage, match=wrong):
            await outbox.resolve("a", ResourceId(sent), NOW + 2)


async def test_what_is_not_there_is_said(outbox, dsn):
    """
    A message nobody knows; and an outbox that is not open, which may be closed all the same.
    """
    closed = PostgresOutbox(dsn)
    await closed.aclose()

    with pytest.raises(KeyError, match="nobody"):
        await outbox.find("nobody")
    with pytest.raises(OutboxUnusable, match="not open"):
        await closed.take_turn(NOW)
