"""A queue and its gate: when it is asked, and what becomes of a message then."""

import asyncio
import logging
from datetime import datetime, timedelta

import pytest
from line import Line, named
from times import emptied, later

from orange_sms_async import (
    OutcomeUnknown,
    Priority,
    RequestRejected,
    SendQueue,
    SqliteOutbox,
    Withheld,
    gates,
)
from orange_sms_async.events import HeldBack
from orange_sms_async.outcomes import State

TEN_MINUTES = timedelta(minutes=10)


class Says:
    """Answers what it is told to, and remembers what it was asked."""

    def __init__(self, *answers):
        self.answers, self.asked = [*answers], []

    def ask(self, asked):
        self.asked.append((asked.message.reference, asked.leaving))
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, BaseException) and not isinstance(answer, Withheld):
            raise answer
        return answer


@pytest.fixture(params=["memory", "sqlite"])
def gated(request, path):
    """Make a queue with a gate, on either outbox."""

    def gated(gate, line=None, **settings):
        outbox = SqliteOutbox(path) if request.param == "sqlite" else None
        return SendQueue(line or Line(), outbox=outbox, gate=gate, **settings)

    return gated


async def test_it_is_asked_twice(gated):
    """
    When a message is submitted, and before it leaves.
    """
    gate = Says()
    async with gated(gate) as queue:
        await queue.send(named("a"))

    assert [("a", False), ("a", True)] == gate.asked


async def test_what_is_withheld_is_not_admitted(gated):
    """
    The error names the rule, and nothing is kept of the message.
    """
    line = Line()
    async with gated(Says(Withheld("no", rule="mine")), line) as queue:
        with pytest.raises(Withheld, match="no") as withheld:
            await queue.submit(named("a"))
        with pytest.raises(KeyError):
            await queue.outcome("a")

    assert "mine" == withheld.value.rule
    assert [] == line.left


async def test_what_is_withheld_before_it_leaves_failed(gated):
    """
    Its future says so, and the next message goes.
    """
    line = Line()
    async with gated(Says(None, None, Withheld("no", rule="mine")), line) as queue:
        first, second = await queue.submit(named("a")), await queue.submit(named("b"))
        with pytest.raises(Withheld) as withheld:
            await first
        assert "id-b" == await second

    assert "mine" == withheld.value.rule
    assert ["b"] == line.texts


async def test_it_is_told_what_is_withheld(gated):
    """
    Where it was asked, and whether the message was about to leave.
    """
    told = []
    gate = Says(Withheld("no"), None, Withheld("no"))
    async with gated(gate, on_event=told.append) as queue:
        with pytest.raises(Withheld):
            await queue.submit(named("a"))
        await asyncio.wait({await queue.submit(named("b"))})

    assert [("a", False), ("b", True)] == [
        (event.message.reference, event.leaving) for event in told if isinstance(event, HeldBack)
    ]


async def test_one_that_is_withheld_is_kept_with_its_rule(path):
    async with SendQueue(
        Line(), outbox=SqliteOutbox(path), gate=Says(None, Withheld("no", rule="mine"))
    ) as queue:
        await asyncio.wait({await queue.submit(named("a"))})
    async with SendQueue(None, outbox=SqliteOutbox(path)) as queue:
        kept = await queue.outcome("a")

    assert (State.FAILED, "no", "mine") == (kept.state, str(kept.error), kept.error.rule)


async def test_a_date_is_waited_for(gated):
    """
    Given before it leaves, too; the lane goes on meanwhile.
    """
    line = Line()
    queue = gated(gate := Says(), line)
    async with queue:
        gate.answers = [None, None, later(queue, 60)]
        first, second = await queue.submit(named("a")), await queue.submit(named("b"))
        await second
        assert State.SCHEDULED is (await queue.outcome("a")).state
        await first

    assert ["b", "a"] == line.texts
    assert 60 == pytest.approx(line.times[1], abs=1)


async def test_a_date_that_has_passed_is_none(gated):
    queue = gated(gate := Says())
    async with queue:
        gate.answers = [None, later(queue, -1)]
        assert "id-a" == await queue.send(named("a"))


@pytest.mark.parametrize(
    "wrong",
    [ZeroDivisionError("+2250701020304"), True, "why", datetime(2026, 1, 1)],  # noqa: DTZ001
)
async def test_a_gate_that_fails_withholds(gated, caplog, wrong):
    """
    What is submitted is refused, what is about to leave waits a minute; that is logged once.
    """
    line = Line()
    async with gated(Says(wrong, wrong, None, wrong, wrong), line) as queue:
        for _ in range(2):
            with pytest.raises(Withheld, match="the gate raised") as withheld:
                await queue.submit(named("a"))
        await queue.send(named("a"))

    logged = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "gate" == withheld.value.rule
    assert 120 == pytest.approx(line.times[0], abs=2)
    assert 2 == len(logged)
    assert "+225" not in caplog.text


async def test_a_gate_that_is_none():
    with pytest.raises(TypeError, match="gate: has no method ask"):
        SendQueue(Line(), gate=object())  # type: ignore[arg-type]


async def test_what_is_kept_already_is_not_withheld(path):
    """
    A job that submits twice hears what became of its message, whatever the gate says by then.
    """
    gate = Says(None, None, Withheld("no"), Withheld("no"))
    async with SendQueue(line := Line(), outbox=SqliteOutbox(path), gate=gate) as queue:
        await queue.send(named("a"))
        assert "id-a" == await queue.send(named("a"))
        with pytest.raises(Withheld):
            await queue.submit(named("b"))

    assert ["a"] == line.texts


async def test_nowait_is_asked_at_once_where_nothing_is_waited_for(path):
    """
    In memory; with a file, and by a gate that takes its time, only before it leaves.
    """

    class Slow(Says):
        async def ask(self, asked):
            await asyncio.sleep(0.01)
            return super().ask(asked)

    async with SendQueue(Line(), gate=Says(Withheld("no"))) as queue:
        with pytest.raises(Withheld):
            queue.submit_nowait(named("a"))
    for outbox, gate in ((SqliteOutbox(path), Says()), (None, Slow())):
        async with SendQueue(Line(), outbox=outbox, gate=gate) as queue:
            gate.answers = [Withheld("no")]
            future = queue.submit_nowait(named("a"))
            with pytest.raises(Withheld):
                await future
            assert [("a", True)] == gate.asked


async def test_what_is_not_submitted_here_is_asked_of_before_it_leaves(path):
    """
    Put into the file with no queue, it has met no gate.
    """
    outbox = SqliteOutbox(path)
    outbox.put(named("a"))
    async with SendQueue(line := Line(), outbox=outbox, gate=Says(Withheld("no"))) as queue:
        await emptied(queue)

    assert [] == line.left


class TestPerRecipient:
    RULE = gates.PerRecipient(3, TEN_MINUTES, lanes=[Priority.URGENT])

    async def test_the_fourth_in_ten_minutes(self, gated):
        """
        Is withheld; another number's goes, and so does a later one, and another lane.
        """
        async with gated(self.RULE) as queue:
            for n in range(3):
                await queue.send(named(f"{n}"), priority=Priority.URGENT)
                await asyncio.sleep(60)
            with pytest.raises(Withheld) as withheld:
                await queue.submit(named("3"), priority=Priority.URGENT)
            await queue.send(named("other", "+2250700000001"), priority=Priority.URGENT)
            await queue.send(named("bulk"), priority=Priority.BULK)
            await asyncio.sleep(8 * 60)
            await queue.send(named("4"), priority=Priority.URGENT)

        assert "per recipient" == withheld.value.rule
        assert "+225" not in f"{withheld.value!r}"

    async def test_one_message_counts_once(self, gated):
        """
        Asked of twice, submitted twice.
        """
        async with gated(gates.PerRecipient(1, TEN_MINUTES)) as queue:
            first, second = await queue.submit(named("a")), await queue.submit(named("a"))
            assert await first == await second

    @pytest.mark.parametrize(
        ("error", "counts"), [(RequestRejected(), False), (OutcomeUnknown(), True)]
    )
    async def test_what_was_not_sent_is_given_back(self, gated, error, counts):
        """
        What may have been sent is not.
        """
        line = Line()
        line.answers.append(error)
        async with gated(gates.PerRecipient(1, TEN_MINUTES), line) as queue:
            await asyncio.wait({await queue.submit(named("a"))})
            second = asyncio.ensure_future(queue.send(named("b")))
            await asyncio.wait({second})

        assert counts is isinstance(second.exception(), Withheld)

    async def test_what_is_withdrawn_or_expires_is_given_back(self, gated):
        line = Line()
        queue = gated(gates.PerRecipient(1, TEN_MINUTES), line)
        async with queue:
            await queue.submit(named("a"), not_before=later(queue, 99))
            assert await queue.withdraw("a")
            await queue.submit(named("b"), not_before=later(queue, 99), expires_at=later(queue, 30))
            await asyncio.sleep(40)
            assert "id-c" == await queue.send(named("c"))

    async def test_what_another_rule_withholds_is_given_back(self, gated):
        gate = gates.all_of(gates.PerRecipient(1, TEN_MINUTES), Says(Withheld("no")))
        async with gated(gate) as queue:
            with pytest.raises(Withheld, match="no"):
                await queue.submit(named("a"))
            assert "id-b" == await queue.send(named("b"))

    async def test_many_numbers_leave_nothing_behind(self, gated):
        """
        What has lapsed is forgotten, whoever it was of.
        """
        async with gated(gates.PerRecipient(1, TEN_MINUTES), Line().paced(1000)) as queue:
            for n in range(20):
                await queue.send(named(f"{n}", f"+22507000000{n:02}"))
            await asyncio.sleep(600)
            for n in range(20, 26):
                await queue.send(named(f"{n}", f"+22507000000{n:02}"))
            notes = queue.notes
            kept = (
                len(notes._totals)
                if hasattr(notes, "_totals")
                else await notes._file().read(
                    lambda db: db.execute("SELECT count(*) FROM tally").fetchone()[0]
                )
            )

        assert 6 == kept


class TestBudget:
    async def test_the_last_hundred_go_to_urgent(self, gated):
        """
        BULK spends its share and no more; URGENT has what is reserved.
        """
        budget = gates.Budget(300, timedelta(days=30), countries=["CIV"], reserved=100)
        line = Line().paced(1000)
        async with gated(budget, line) as queue:
            async with queue.bulk([named(f"{n}") for n in range(250)]) as reports:
                errors = [report.error async for report in reports if report.error]
            for n in range(100):
                await queue.send(named(f"code {n}"), priority=Priority.URGENT)
            with pytest.raises(Withheld) as withheld:
                await queue.send(named("one more"), priority=Priority.URGENT)
            await queue.send(named("elsewhere", "+221770000001"))

        assert ["budget"] * 50 == [error.rule for error in errors]
        assert "budget" == withheld.value.rule
        assert 301 == len(line.accepted)

    async def test_a_long_text_costs_more(self, gated):
        async with gated(gates.Budget(3, timedelta(days=1))) as queue:
            await queue.send(named("a" * 161))
            with pytest.raises(Withheld):
                await queue.send(named("b" * 161))
            await queue.send(named("c"))

    def test_more_reserved_than_there_is(self):
        with pytest.raises(ValueError, match="reserved"):
            gates.Budget(10, timedelta(days=1), reserved=11)
