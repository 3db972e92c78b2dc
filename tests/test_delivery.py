"""Receipts in a durable outbox: whose they are, what they settle, and who waits for them."""

import asyncio
import contextlib
import itertools
import json
import sqlite3
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from line import Line, sms

from orange_sms_async import (
    ConnectionFailed,
    DeliveryReceipt,
    DeliveryStatus,
    MessageWithdrawn,
    OutboundMessage,
    OutcomeUnknown,
    QueueClosed,
    RequestRejected,
    ResourceId,
    SendQueue,
)
from orange_sms_async.errors import OutboxUnusable
from orange_sms_async.outbox.sqlite import SqliteOutbox
from orange_sms_async.outbox.sqlite.database import OUTBOX, Format, connect
from orange_sms_async.outcomes import State
from orange_sms_async.receiver import ReceiptBook, ReceiptReceiver

NUMBER, OTHER = "+2250701020304", "+2250705060708"
NETWORK = "DeliveredToNetwork"
ARRIVED = "DeliveredToTerminal"


def receipt(resource_id: str, status: str = ARRIVED, number: str = NUMBER) -> DeliveryReceipt:
    return DeliveryReceipt(
        resource_id=ResourceId(resource_id), status=status, address=f"tel:{number}"
    )


def named(reference: str, number: str = NUMBER) -> OutboundMessage:
    return OutboundMessage(number, reference, reference=reference)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "outbox.db"


@pytest.fixture
def line():
    return Line()


@pytest.fixture
def opened(line, path):
    """A queue on the file, as often as the test opens one."""

    def queue(rate: float | None = None, **settings):
        line_ = line if rate is None else line.paced(rate)
        return SendQueue(line_, outbox=SqliteOutbox(path), **settings)

    return queue


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
            with contextlib.closing(sqlite3.connect(copied(path))) as db:
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
            await queue.keep(receipt("old"))
            await asyncio.sleep(86_401)
            await queue.keep(receipt("new"))
        with contextlib.closing(sqlite3.connect(path)) as db:
            kept = db.execute("SELECT resource_id FROM receipt ORDER BY id").fetchall()

        assert [("new",)] == kept

    async def test_forgetting_takes_the_numbers_of_receipts_too(self, opened, path):
        """
        Of finished messages and of nobody's; how far the messages came stays.
        """
        async with opened() as queue:
            await queue.send(named("a"))
            await queue.keep(receipt("id-a"))
            await queue.keep(receipt("other", number=OTHER))
            await queue._outbox.forget()

            assert (ARRIVED, "") == (
                (await queue.outcome("a")).delivery.status,
                (await queue.outcome("a")).delivery.address,
            )
        assert not [number for number in (NUMBER, OTHER) if number.encode() in path.read_bytes()]

    @pytest.mark.parametrize("status", [NETWORK, ARRIVED])
    async def test_a_receipt_of_a_message_that_is_forgotten(self, opened, path, status):
        """
        It is kept once, without the number, and tells how far the message came.
        """
        async with opened() as queue:
            await queue.send(named("a"))
            await queue.keep(receipt("id-a", NETWORK))
            await queue._outbox.forget()
            for _ in range(2):
                await queue.keep(receipt("id-a", status))
            delivery = (await queue.outcome("a")).delivery
        with contextlib.closing(sqlite3.connect(path)) as db:
            kept = db.execute("SELECT status, address FROM receipt ORDER BY id").fetchall()

        assert [*dict.fromkeys([(NETWORK, None), (status, None)])] == kept
        assert (status, "") == (delivery.status, delivery.address)

    async def test_the_receipts_of_a_forgotten_message_beside_an_unknown_one(
        self, line, opened, path
    ):
        """
        That the number is still needed for the one is no reason to keep it with the other.
        """
        async with opened() as queue:
            await queue.send(named("a"))
            await queue.keep(receipt("id-a"))
            line.answers.append(OutcomeUnknown())
            await asyncio.wait({await queue.submit(named("b"))})
            await queue._outbox.forget()
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


class TestDelivered:
    async def test_a_receipt_that_comes(self, opened):
        """
        What is not final is not waited for.
        """
        async with opened() as queue:
            await queue.send(named("a"))
            waiting = asyncio.create_task(queue.delivered("a"))
            await asyncio.sleep(1)
            await queue.keep(receipt("id-a", NETWORK))
            await asyncio.sleep(1)
            assert not waiting.done()
            await queue.keep(receipt("id-a", "DeliveryImpossible"))

            assert "DeliveryImpossible" == (await waiting).status

    async def test_of_an_earlier_process(self, opened):
        """
        Whether its receipt came before the end of that, or comes now.
        """
        async with opened() as queue:
            await queue.send(named("a"))
            await queue.send(named("b"))
            await queue.keep(receipt("id-a"))
        async with opened() as queue:
            waiting = asyncio.create_task(queue.delivered("b"))
            await asyncio.sleep(1)
            await queue.keep(receipt("id-b"))

            assert (await queue.delivered("a")).delivered
            assert (await waiting).delivered

    async def test_of_a_message_that_waits(self, opened):
        """
        Its reference is enough, before there is a resource id.
        """
        async with opened() as queue:
            waiting = asyncio.gather(queue.delivered("a"), return_exceptions=True)
            assert isinstance((await waiting)[0], KeyError)
            await queue.submit(named("a"))
            waiting = asyncio.create_task(queue.delivered("a"))
            await queue.join()
            await queue.keep(receipt("id-a"))

            assert (await waiting).delivered

    async def test_of_an_unknown_message(self, line, opened):
        """
        The receipt that settles it is the one waited for.
        """
        line.answers.append(OutcomeUnknown())
        async with opened() as queue:
            await asyncio.wait({await queue.submit(named("a"))})
            waiting = asyncio.create_task(queue.delivered("a"))
            await asyncio.sleep(1)
            await queue.keep(receipt("81e4"))

            assert receipt("81e4") == await waiting

    async def test_of_what_a_person_settles(self, line, opened):
        """
        Its receipt was there before, and the other's: both are told at once.
        """
        line.answers.extend([OutcomeUnknown(), OutcomeUnknown()])
        told = []
        async with opened(on_outcome=lambda o: told.append((o.reference, o.state))) as queue:
            await asyncio.wait([await queue.submit(named(name)) for name in "ab"])
            waiting = [asyncio.create_task(queue.delivered(name, 60)) for name in "ab"]
            for resource_id in ("81e4", "92f5"):
                await queue.keep(receipt(resource_id))
            await queue.resolve("a", sent=ResourceId("81e4"))

            assert [receipt("81e4"), receipt("92f5")] == await asyncio.gather(*waiting)
        unknown = [("a", State.UNKNOWN), ("b", State.UNKNOWN)]
        assert [*unknown, ("b", State.SENT)] == told

    @pytest.mark.parametrize("timeout", [0, 5])
    async def test_none_comes(self, opened, timeout):
        """
        It ends on time.
        """
        async with opened() as queue:
            await queue.send(named("a"))
            start = asyncio.get_running_loop().time()
            with pytest.raises(TimeoutError):
                await queue.delivered("a", timeout)

            assert timeout == pytest.approx(asyncio.get_running_loop().time() - start, abs=0.1)
            assert {} == queue._awaiting

    async def test_a_person_finds_out_whose_a_receipt_was(self, line, opened):
        """
        Of two unknown messages it may have been either's: who waits hears when that is settled.
        """
        line.answers.extend([OutcomeUnknown()] * 2)
        async with opened() as queue:
            for name in "ab":
                await asyncio.wait({await queue.submit(named(name))})
            await queue.keep(receipt("id-a"))
            waiting = asyncio.create_task(queue.delivered("a", 60))
            await asyncio.sleep(1)
            await queue.resolve("a", sent=ResourceId("id-a"))

            assert receipt("id-a") == await waiting

    @pytest.mark.parametrize("timeout", [float("inf"), float("nan"), -1])
    async def test_it_always_has_an_end(self, opened, timeout):
        """
        Orange may never report.
        """
        async with opened() as queue:
            with pytest.raises(ValueError, match="finite"):
                await queue.delivered("a", timeout)
            with pytest.raises(ValueError, match="delivered_within"):
                queue.bulk([named("a")], delivered_within=timeout)

    async def test_of_what_was_not_sent(self, line, opened):
        """
        Refused before or after, or withdrawn: nothing will come.
        """
        line.answers.extend([RequestRejected(), ConnectionFailed()])
        async with opened() as queue:
            await asyncio.wait({await queue.submit(named("a"))})
            with pytest.raises(RequestRejected):
                await queue.delivered("a")
            await queue.submit(named("b"))
            waiting = asyncio.create_task(queue.delivered("b"))
            await asyncio.sleep(0.5)
            await queue.withdraw("b")

            with pytest.raises(MessageWithdrawn):
                await waiting

    async def test_the_queue_ends_first(self, opened):
        """
        Nobody waits for ever; nor after the end.
        """
        async with opened() as queue:
            await queue.send(named("a"))
            waiting = asyncio.create_task(queue.delivered("a"))
            await asyncio.sleep(1)

        with pytest.raises(QueueClosed):
            await waiting
        with pytest.raises(QueueClosed):
            await queue.delivered("a")

    async def test_reports_of_a_bulk_wait_for_receipts(self, line, opened):
        """
        Each for its own; the furthest there is when the time is up.
        """
        line.answers.append(RequestRejected())
        statuses = {"b": ARRIVED, "c": NETWORK}
        async with opened() as queue:
            reported = {}
            async with queue.bulk(map(named, "abcd"), delivered_within=5) as reports:
                async for report in reports:
                    reported[report.message.reference] = report.delivery and report.delivery.status
                    if report.error:
                        for reference, status in statuses.items():
                            await queue.keep(receipt(f"id-{reference}", status))

        assert {"a": None, "b": ARRIVED, "c": NETWORK, "d": None} == reported

    async def test_a_report_of_a_message_that_is_forgotten_meanwhile(self, opened):
        """
        It comes all the same, without a word of delivery.
        """
        async with opened(retention=timedelta(days=1)) as queue:
            async with queue.bulk([named("a")], delivered_within=200_000) as reports:
                await asyncio.sleep(100_000)
                await queue.send(named("b"))
                told = [report.delivery async for report in reports]

        assert [None] == told

    async def test_a_message_is_kept_as_long_as_its_receipts_may_come(self, opened):
        """
        Or another one to its number would be taken for sent.
        """
        async with opened(retention=timedelta(seconds=1)) as queue:
            await queue.send(named("a"))
            await asyncio.sleep(3_600)
            await queue.send(named("b"))

            assert "a" == (await queue.keep(receipt("id-a"))).reference

    async def test_a_bulk_that_is_left_waits_no_more(self, opened):
        """
        Nor does one whose queue ends.
        """
        async with opened() as queue:
            async with queue.bulk([named("a")], delivered_within=1_000):
                await asyncio.sleep(2)
            async with queue.bulk([named("b")], delivered_within=1_000) as reports:
                await asyncio.sleep(2)
                await queue.aclose()

                assert [("id-b", None)] == [
                    (report.resource_id, report.delivery) async for report in reports
                ]


async def post(receiver: ReceiptReceiver, resource_id: str) -> int:
    """Post a receipt as Orange does; return the status of the answer."""
    info = {"address": f"tel:{NUMBER}", "deliveryStatus": ARRIVED}
    posted = {"deliveryInfoNotification": {"callbackData": resource_id, "deliveryInfo": info}}
    body = json.dumps(posted).encode()
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "client": None}
    await receiver(scope, receive, send)
    return sent[0]["status"]


def copied(path: Path) -> Path:
    """A copy of the file as a process killed now would leave it."""
    copy = path.with_name("copy.db")
    for suffix in ("", "-wal"):
        copy.with_name(f"copy.db{suffix}").write_bytes(Path(f"{path}{suffix}").read_bytes())
    return copy


# -- and what a queue makes of that ----------------------------------------------------------------


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
        crashed = copied(path)
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


# -- files of an earlier version -------------------------------------------------------------------


@pytest.fixture
def earlier(path):
    """A file that the first version of the schema left: one message in each state."""
    first = Format(OUTBOX.name, OUTBOX.application_id, OUTBOX.versions[:1])
    with contextlib.closing(connect(path, first)) as db:
        for state in State:
            db.execute(
                "INSERT INTO message (reference, state, priority, not_before, expires_at, "
                "on_unknown, recipient, text, sender_address, on_net, resource_id, error, reason) "
                "VALUES (?1, ?1, 1, 0, 9e999, 'report', ?2, ?1, 'tel:+2250000', 0, ?3, ?4, ?4)",
                (
                    state,
                    NUMBER,
                    "id-sent" if state is State.SENT else None,
                    {State.UNKNOWN: "OutcomeUnknown", State.FAILED: "Refused"}.get(state),
                ),
            )
    return path


async def test_a_file_of_the_first_version_goes_on(line, earlier, opened):
    """
    Nothing in it is lost, and its messages take receipts.
    """
    async with opened() as queue:
        await queue.join()
        await queue.keep(receipt("id-sent"))
        states = {outcome.reference: outcome.state async for outcome in queue.outcomes()}

        assert (await queue.delivered("sent")).delivered
    sent = {"scheduled", "queued", "sent"}
    assert {state.value: "sent" if state in sent else state for state in State} | {
        "sending": "unknown"
    } == states
    assert {"scheduled", "queued"} == set(line.texts)


async def test_what_it_does_not_know_is_left_to_a_person(line, earlier, opened):
    """
    When its unknown messages left was not kept then, so that any receipt may be theirs.
    """
    async with opened() as queue:
        await queue.join()
        line.answers.append(OutcomeUnknown())
        await asyncio.wait({await queue.submit(named("new"))})
        assert await queue.keep(receipt("81e4")) is None

        assert State.UNKNOWN is (await queue.outcome("unknown")).state
        assert State.UNKNOWN is (await queue.outcome("new")).state
        assert [] == await queue._outbox.perhaps_of("unknown")


async def test_it_is_written_once_and_for_all(earlier, opened):
    """
    Opened again, it is a file as any other; an older program is told that it is newer.
    """
    for _ in range(2):
        async with opened():
            pass
    first = Format(OUTBOX.name, OUTBOX.application_id, OUTBOX.versions[:1])
    with pytest.raises(OutboxUnusable, match="newer version"):
        connect(earlier, first)


async def test_a_message_found_out_by_time(opened, line):
    """
    The clock of the queue is the one that receipts are measured by.
    """
    line.answers.append(OutcomeUnknown())
    async with opened() as queue:
        await asyncio.sleep(100)
        await asyncio.wait({await queue.submit(sms("a", reference="a"))})
        row = queue._outbox._file.connection.execute("SELECT attempted_at FROM message").fetchone()

        assert time.time() + 100 == pytest.approx(row[0], abs=10)


# -- a file of receipts alone ----------------------------------------------------------------------

WORKER = """
import sys
from pathlib import Path
from orange_sms_async.outbox.sqlite.database import RECEIPTS, connect

input()
for n in range(40):
    connect(Path(sys.argv[1]) / f"{n}.db", RECEIPTS).close()
"""


def test_workers_that_start_together_share_a_file(tmp_path):
    """
    Each finds it missing, and whoever is not the first takes what the first made of it.
    """
    command = [sys.executable, "-c", WORKER, str(tmp_path)]
    workers = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(4)]
    for worker in workers:
        worker.stdin.write(b"now\n")
        worker.stdin.close()

    assert [0] * 4 == [worker.wait(30) for worker in workers]
