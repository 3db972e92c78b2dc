"""Receipts in a durable outbox: whose they are, and what they settle."""

import asyncio
import contextlib
import itertools
import json
import sqlite3
import time
from datetime import timedelta

import pytest
from disk import crash
from line import Line, named, sms
from post import Post
from receipt import ARRIVED, NETWORK, NUMBER, OTHER, receipt
from times import pass_at_once

from orange_sms_async import DeliveryStatus, OutcomeUnknown, SendQueue
from orange_sms_async.outbox.sqlite import SqliteOutbox
from orange_sms_async.outcomes import State
from orange_sms_async.receiver import ReceiptBook, ReceiptReceiver


class TestKept:
    async def test_a_receipt_belongs_to_the_message_with_its_id(self, opened):
        """
        The outcome shows how far it came; that of the other one shows nothing.
        """
        async with opened() as queue:
            await queue.send(named("a"))
            await queue.send(named("b"))
            outcome = await queue.keep(receipt("id-a", NETWORK))

            assert receipt("id-a", NETWORK) == outcome.delivery
            assert outcome == await queue.outcome("a")
            assert (await queue.outcome("b")).delivery is None

    async def test_it_is_on_disk_when_keep_returns(self, opened, path):
        """
        Killed right after Orange was answered: the next process knows.
        """
        async with opened() as queue:
            await queue.send(named("a"))
            await queue.keep(receipt("id-a"))
            with contextlib.closing(sqlite3.connect(crash(path))) as db:
                kept = db.execute("SELECT delivery FROM message").fetchall()

        assert [(ARRIVED,)] == kept

    async def test_every_order_of_the_five_statuses(self, opened):
        """
        And each twice: the state only moves forward, to the same end.
        """
        orders = list(itertools.permutations(DeliveryStatus))
        async with opened(rate=1_000) as queue:
            for n in range(len(orders)):
                await queue.send(named(f"{n}"))
            for place in (0, 0, 1, 1, 2, 2, 3, 3, 4, 4, *range(5)):
                came = [receipt(f"id-{n}", order[place]) for n, order in enumerate(orders)]
                await asyncio.gather(*map(queue.keep, came))
            reached = [outcome.delivery.status async for outcome in queue.outcomes()]

        assert [DeliveryStatus.DELIVERED_TO_TERMINAL] * 120 == reached

    @pytest.mark.parametrize(
        ("statuses", "state"),
        [
            (["MessageWaiting"], "MessageWaiting"),
            (["DeliveredToNetwork", "MessageWaiting"], "DeliveredToNetwork"),
            (["DeliveryUncertain", "DeliveredToNetwork"], "DeliveryUncertain"),
            (["DeliveryImpossible", "DeliveryUncertain"], "DeliveryImpossible"),
            (["DeliveryImpossible", "DeliveredToTerminal"], "DeliveredToTerminal"),
            (["DeliveredToTerminal", "DeliveryImpossible"], "DeliveredToTerminal"),
            (["SomethingNew"], "SomethingNew"),
            (["MessageWaiting", "SomethingNew"], "MessageWaiting"),
        ],
    )
    async def test_the_furthest_counts(self, opened, statuses, state):
        """
        Whatever comes after it; one that Orange does not document says least.
        """
        async with opened() as queue:
            await queue.send(named("a"))
            for status in statuses:
                await queue.keep(receipt("id-a", status))

            assert state == (await queue.outcome("a")).delivery.status

    async def test_a_receipt_before_the_201(self, line, opened):
        """
        It waits in the file for the message that it is of.
        """
        line.delay = 2.0
        async with opened() as queue:
            future = await queue.submit(named("a"))
            await asyncio.sleep(1)
            assert await queue.keep(receipt("id-a")) is None
            await future

            assert ARRIVED == (await queue.outcome("a")).delivery.status
            assert (await queue.outcome("a")).settled_by is None

    async def test_receipts_of_nobody_are_kept(self, opened, path):
        """
        Another id, none, or a number that nobody wrote to: nothing is refused.
        """
        async with opened() as queue:
            await queue.send(named("a"))
            strange = [receipt("other"), receipt(""), receipt("third", number=OTHER)]
            assert [None] * 3 == [await queue.keep(one) for one in strange]
        with contextlib.closing(sqlite3.connect(path)) as db:
            kept = db.execute("SELECT resource_id FROM receipt ORDER BY id").fetchall()

        assert [("other",), ("",), ("third",)] == kept

    async def test_a_duplicate_is_kept_once(self, opened, path):
        """
        But not one without an id, which may be of another message.
        """
        async with opened() as queue:
            for one in [receipt("x"), receipt("x"), receipt(""), receipt("")]:
                await queue.keep(one)
        with contextlib.closing(sqlite3.connect(path)) as db:
            kept = db.execute("SELECT resource_id FROM receipt ORDER BY id").fetchall()

        assert [("x",), ("",), ("",)] == kept

    async def test_old_receipts_are_forgotten(self, opened, path):
        """
        After the retention time, as messages are.
        """
        async with opened(retention=timedelta(days=1)) as queue:
            for resource_id in ("old", "between", "new"):
                await queue.keep(receipt(resource_id))
                await pass_at_once(86_401)
        with contextlib.closing(sqlite3.connect(path)) as db:
            kept = db.execute("SELECT resource_id FROM receipt ORDER BY id").fetchall()

        assert [("between",), ("new",)] == kept

    async def test_forgetting_takes_the_numbers_of_receipts_too(self, line, outbox, path):
        """
        Of finished messages and of nobody's; how far the messages came stays.
        """
        async with SendQueue(line, outbox=outbox) as queue:
            await queue.send(named("a"))
            await queue.keep(receipt("id-a"))
            await queue.keep(receipt("other", number=OTHER))
            await outbox.forget()

            assert (ARRIVED, "") == (
                (await queue.outcome("a")).delivery.status,
                (await queue.outcome("a")).delivery.address,
            )
        assert not [number for number in (NUMBER, OTHER) if number.encode() in path.read_bytes()]

    @pytest.mark.parametrize("status", [NETWORK, ARRIVED])
    async def test_a_receipt_of_a_message_that_is_forgotten(self, line, outbox, path, status):
        """
        It is kept once, without the number, and tells how far the message came.
        """
        async with SendQueue(line, outbox=outbox) as queue:
            await queue.send(named("a"))
            await queue.keep(receipt("id-a", NETWORK))
            await outbox.forget()
            for _ in range(2):
                await queue.keep(receipt("id-a", status))
            delivery = (await queue.outcome("a")).delivery
        with contextlib.closing(sqlite3.connect(path)) as db:
            kept = db.execute("SELECT status, address FROM receipt ORDER BY id").fetchall()

        assert [*dict.fromkeys([(NETWORK, None), (status, None)])] == kept
        assert (status, "") == (delivery.status, delivery.address)

    async def test_the_receipts_of_a_forgotten_message_beside_an_unknown_one(
        self, line, outbox, path
    ):
        """
        That the number is still needed for the one is no reason to keep it with the other.
        """
        async with SendQueue(line, outbox=outbox) as queue:
            await queue.send(named("a"))
            await queue.keep(receipt("id-a"))
            line.answers.append(OutcomeUnknown())
            await asyncio.wait({await queue.submit(named("b"))})
            await outbox.forget()
        with contextlib.closing(sqlite3.connect(path)) as db:
            kept = db.execute("SELECT address FROM receipt").fetchall()

        assert [(None,)] == kept

    async def test_the_receiver_keeps_them_there(self, opened):
        """
        A queue is a store; what it cannot keep is not answered 200.
        """
        book = ReceiptBook()
        queue = opened()
        receiver = ReceiptReceiver(book.add, store=queue)
        async with queue:
            await queue.send(named("a"))
            statuses = [await post(receiver, "id-a")]
            delivered = (await queue.outcome("a")).delivery
        statuses.append(await post(receiver, "late"))

        assert [200, 503] == statuses
        assert receipt("id-a") == delivered
        assert [] == book.history("late")

    async def test_an_outbox_in_memory_keeps_none(self, line):
        """
        It says so, and what to use.
        """
        async with SendQueue(line) as queue:
            with pytest.raises(RuntimeError, match="SqliteOutbox"):
                await queue.keep(receipt("id-a"))
            with pytest.raises(RuntimeError, match="ReceiptBook"):
                await queue.delivered("a")
            with pytest.raises(RuntimeError, match="SqliteOutbox"):
                queue.bulk([named("a")], delivered_within=1)


async def post(receiver, resource_id):
    """Post a receipt as Orange does; return the status of the answer."""
    info = {"address": f"tel:{NUMBER}", "deliveryStatus": ARRIVED}
    posted = {"deliveryInfoNotification": {"callbackData": resource_id, "deliveryInfo": info}}
    return await Post(json.dumps(posted).encode()).to(receiver)


async def test_a_receipt_before_the_crash_tells_what_was_on_the_wire(line, opened, path):
    """
    Killed before the 201 was stored: the next process knows that it was sent.
    """
    line.delay, told = 2.0, []
    async with opened() as queue:
        await queue.submit(named("a"))
        await queue.submit(named("b", OTHER))
        await asyncio.sleep(1)
        await queue.keep(receipt("id-a"))
        crashed = crash(path)
    async with SendQueue(Line(), outbox=SqliteOutbox(crashed), on_outcome=told.append) as queue:
        found = {outcome.reference: outcome for outcome in queue.recovered}

    assert {"a": State.SENT, "b": State.UNKNOWN} == {n: o.state for n, o in found.items()}
    assert ("id-a", "receipt") == (found["a"].resource_id, found["a"].settled_by)
    assert queue.recovered == told


async def test_an_outcome_that_a_receipt_settles_is_told(line, opened):
    """
    Once: unknown first, sent then, and no more with the next receipt.
    """
    line.answers.append(OutcomeUnknown())
    told = []
    async with opened(on_outcome=lambda o: told.append((o.state, o.settled_by))) as queue:
        await asyncio.wait({await queue.submit(named("a"))})
        await queue.keep(receipt("81e4", NETWORK))
        await queue.keep(receipt("81e4"))
        counted = queue.statistics()

    assert [(State.UNKNOWN, None), (State.SENT, "receipt")] == told
    assert (1, 1) == (counted.unknown, counted.sent)


async def test_the_future_of_a_message_settled_by_a_receipt(line, opened):
    """
    It came before the answer was lost: nobody ever hears that it was in doubt.
    """
    line.delay = 2.0
    line.answers.append(OutcomeUnknown())
    async with opened() as queue:
        future = await queue.submit(named("a"))
        await asyncio.sleep(1)
        await queue.keep(receipt("81e4"))

        assert "81e4" == await future


async def test_a_message_found_out_by_time(line, opened, path):
    """
    The clock of the queue is the one that receipts are measured by.
    """
    line.answers.append(OutcomeUnknown())
    async with opened() as queue:
        await asyncio.sleep(100)
        await asyncio.wait({await queue.submit(sms("a", reference="a"))})
    with contextlib.closing(sqlite3.connect(path)) as db:
        [(attempted_at,)] = db.execute("SELECT attempted_at FROM message").fetchall()

    assert time.time() + 100 == pytest.approx(attempted_at, abs=10)
