"""The turn of an account: one sender at a time, and what becomes of one that is gone."""

import asyncio
import time

import pytest
from disk import MONTH
from line import named

from orange_sms_async import Outcome, PostgresOutbox, Priority, ResourceId, State
from orange_sms_async.outbox import Entry
from orange_sms_async.outbox.postgres.connecting import boot_time

pytestmark = pytest.mark.real_time

FENCE, LEASE = 0.2, 0.6


async def opened(dsn, account="default"):
    outbox = PostgresOutbox(dsn, account=account)
    outbox._fence, outbox._lease = FENCE, LEASE
    await outbox.open(time.time(), MONTH)
    return outbox


async def vanish(outbox):
    """Leave it as a killed process does: with its claims and its turn."""
    outbox._sending._renewing.cancel()
    await outbox._db.aclose()


async def soon(true, seconds=10.0):
    """Ask again and again, and return the answer that is one."""
    late = time.monotonic() + seconds
    while not (answer := await true()):
        assert time.monotonic() < late
        await asyncio.sleep(0.01)
    return answer


@pytest.fixture
async def pair(dsn):
    first, second = await opened(dsn), await opened(dsn)
    yield first, second
    for outbox in (first, second):
        if outbox._db._pool:
            await outbox.aclose()


def sent(claim):
    return Outcome(claim.reference, State.SENT, ResourceId(f"id-{claim.reference}"))


async def submitted(outbox, *references, **terms):
    for reference in references:
        await outbox.add(Entry(named(reference), Priority.NORMAL, **terms))


async def test_one_at_a_time_has_the_turn(pair):
    """
    Who has not got it claims nothing.
    """
    first, second = pair
    await submitted(second, "a")

    assert await first.take_turn(time.time())
    assert not await second.take_turn(time.time())
    assert await second.claim(time.time()) is None
    assert "a" == (await first.claim(time.time())).reference


async def test_the_turn_begins_a_second_after_the_last_departure(pair):
    """
    However cleanly the one before gave it up.
    """
    first, second = pair
    await submitted(second, "a", "b")
    assert await first.take_turn(time.time())
    claim = await first.claim(time.time())
    left = boot_time()
    await first.settle(claim, sent(claim), time.time())
    await first.aclose()

    await soon(lambda: second.take_turn(time.time()))
    assert 1 <= boot_time() - left < 2.5


async def test_a_sender_that_sent_nothing_is_followed_at_once(pair):
    first, second = pair
    assert await first.take_turn(time.time())
    assert not await second.take_turn(time.time())
    await first.aclose()

    began = boot_time()
    await soon(lambda: second.take_turn(time.time()))
    assert boot_time() - began < 1.2


async def test_a_killed_sender_is_followed_when_its_last_claim_may_leave_no_more(pair):
    """
    A second after that, so that no rolling second holds both of theirs.
    """
    first, second = pair
    await submitted(second, "a", "b", "c")
    assert await first.take_turn(time.time())
    claimed = boot_time()
    claim = await first.claim(time.time())
    await vanish(first)

    await soon(lambda: second.take_turn(time.time()))
    assert claimed + FENCE + 1 <= boot_time() < claimed + FENCE + 3
    assert claim.too_late()


async def test_an_idle_sender_writes_nothing_and_goes_on_at_once(pair, db):
    """
    Its turn runs out, and is its own again as soon as something waits.
    """
    first, second = pair
    assert await first.take_turn(time.time())
    await asyncio.sleep(FENCE + 1.3)
    row = "SELECT xmin::text, sender_until < now() AS over FROM orange_sms.account"
    before = await db.fetchrow(row)
    assert before["over"]
    assert not await second.take_turn(time.time())
    await submitted(second, "a")

    assert not await second.take_turn(time.time())
    assert before == await db.fetchrow(row)
    assert "a" == (await first.claim(time.time())).reference


async def test_a_dead_idle_sender_is_followed_once_something_waited_for_a_second(pair):
    first, second = pair
    assert await first.take_turn(time.time())
    await vanish(first)
    await submitted(second, "a")
    began = boot_time()

    await soon(lambda: second.take_turn(time.time()))
    assert 0.9 < boot_time() - began < 3.5


async def test_who_lost_the_turn_learns_so_when_it_claims(pair):
    """
    The database says who has it, not who thinks so.
    """
    first, second = pair
    await submitted(second, "a", "b")
    assert await first.take_turn(time.time())
    first._sending._renewing.cancel()
    await soon(lambda: second.take_turn(time.time()))

    assert first.has_turn
    assert await first.claim(time.time()) is None
    assert not first.has_turn
    assert "a" == (await second.claim(time.time())).reference


async def test_a_sender_that_can_claim_nothing_lets_another_try(pair, monkeypatch):
    """
    It may have no line to Orange, and another machine may have one.
    """
    monkeypatch.setattr("orange_sms_async.outbox.postgres.sending._PATIENCE", 0.5)
    first, second = pair
    await submitted(second, "a")
    assert await first.take_turn(time.time())

    await soon(lambda: second.take_turn(time.time()))
    assert "a" == (await second.claim(time.time())).reference


async def test_a_sender_that_keeps_silent_is_named(pair, db):
    """
    To who waits for the turn, while something could leave.
    """
    first, second = pair
    await submitted(second, "a")
    assert await first.take_turn(time.time())
    assert not await second.take_turn(time.time())
    assert await second.holder(time.time()) is None
    await db.execute(
        "UPDATE orange_sms.account SET claimed_at = now() - interval '3 s',"
        " sender_until = now() + interval '5 s'"
    )

    words = await soon(lambda: asked(second))
    assert words.startswith("process ")
    assert ", since " in words


async def asked(outbox):
    await outbox.take_turn(time.time())
    return await outbox.holder(time.time())


async def test_the_guard_goes_with_the_turn(pair):
    """
    A pace that was learned is not learned again by every process.
    """
    first, second = pair
    assert await first.take_turn(time.time())
    first.guard = 0.04
    await first.aclose()

    await soon(lambda: second.take_turn(time.time()))
    assert 0.04 == second.guard


async def test_accounts_have_turns_of_their_own(pair, dsn, db):
    """
    And messages and references of their own.
    """
    first, _ = pair
    await db.execute("INSERT INTO orange_sms.account (name, rate, key) VALUES ('other', 20, 'x')")
    other = await opened(dsn, "other")
    await submitted(first, "a")

    assert (5, 20) == (first.rate, other.rate)
    assert await first.take_turn(time.time())
    assert await other.take_turn(time.time())
    assert await other.claim(time.time()) is None
    await submitted(other, "a")
    assert "a" == (await other.claim(time.time())).reference
    await other.aclose()


async def test_what_a_dead_sender_left_is_unknown_or_sent_again(pair):
    """
    Once its leases are over; what it says of it later still counts.
    """
    first, second = pair
    await submitted(second, "a")
    await submitted(second, "b", on_unknown="resend")
    assert await first.take_turn(time.time())
    claims = [await first.claim(time.time()) for _ in range(2)]
    first._sending._renewing.cancel()
    await soon(lambda: second.take_turn(time.time()))
    settled = await soon(lambda: second.tidy(time.time()))
    again = await soon(lambda: second.claim(time.time()))

    assert [("a", State.UNKNOWN)] == [(each.reference, each.state) for each in settled]
    assert ("b", True, 2) == (again.reference, again.again, again.attempt)
    late = [await first.settle(claim, sent(claim), time.time()) for claim in claims]
    assert [[State.SENT], []] == [[each.state for each in outcomes] for outcomes in late]


async def test_a_late_answer_settles_what_waits_to_be_sent_again(pair):
    """
    Before it is claimed again: else it would certainly be sent twice.
    """
    first, second = pair
    await submitted(second, "b", on_unknown="resend")
    assert await first.take_turn(time.time())
    claim = await first.claim(time.time())
    first._sending._renewing.cancel()
    await soon(lambda: second.take_turn(time.time()))
    await soon(lambda: waits(second, "b"))
    (outcome,) = await first.settle(claim, sent(claim), time.time())

    assert State.SENT is outcome.state
    assert await second.claim(time.time()) is None


async def waits(outbox, reference):
    await outbox.tidy(time.time())
    return (await outbox.find(reference)).state is State.QUEUED


async def test_a_slow_answer_keeps_its_lease(pair):
    """
    Also when the turn is another's by now.
    """
    first, second = pair
    await submitted(second, "a", "b")
    assert await first.take_turn(time.time())
    claim = await first.claim(time.time())
    first._sending.has_turn = False  # and so it renews no turn
    await soon(lambda: second.take_turn(time.time()))
    for _ in range(20):
        assert [] == await second.tidy(time.time())
        await asyncio.sleep(0.1)

    assert State.SENDING is (await second.find("a")).state
    assert await first.settle(claim, sent(claim), time.time())


@pytest.mark.parametrize("commit", ["off", "local", "on", "remote_apply"])
async def test_a_claim_is_on_disk_whatever_the_database_says(pair, db, commit):
    """
    Undone by a crash it would be sent again; a stricter setting stays.
    """
    first, _ = pair
    await submitted(first, "a")
    assert await first.take_turn(time.time())
    async with db.transaction():
        await db.execute(f"SET LOCAL synchronous_commit = {commit}")
        await db.execute(
            "SELECT orange_sms.claim((SELECT id FROM orange_sms.account), $1, now(), 1, 1, 10, "
            "NULL, '{0,0,0}')",
            first._sending.me,
        )
        kept = await db.fetchval("SHOW synchronous_commit")

    assert (commit if commit == "remote_apply" else "on") == kept
