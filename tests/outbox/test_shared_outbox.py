"""Several queues over one file: each submits, one sends, and each hears what became of its own."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import pytest
from disk import MONTH, begin, crash, on_disk
from line import Line, most_in_a_second, named, sms
from receipt import receipt

from orange_sms_async import (
    InvalidMessage,
    OutcomeUnknown,
    Priority,
    SendQueue,
    SqliteOutbox,
    State,
)
from orange_sms_async.errors import OutboxUnusable
from orange_sms_async.events import Claimed, Settled, WaitingFor
from orange_sms_async.outbox.sqlite import ground, journal


@contextlib.asynccontextmanager
async def two(path, first, second, **settings):
    """Two queues; the first one has the turn."""
    async with (
        SendQueue(first, outbox=SqliteOutbox(path)) as sender,
        SendQueue(second, outbox=SqliteOutbox(path), **settings) as other,
    ):
        yield sender, other


class TestTwoQueues:
    async def test_one_sends_what_the_other_submits(self, line, path):
        """
        At the rate of one, and within a fifth of a second the other hears what became of it.
        """
        idle = Line()
        async with two(path, line, idle) as (sender, other):
            for n in range(10):
                await sender.submit(named(f"a{n}"))
            futures = [await other.submit(named(f"b{n}")) for n in range(10)]
            ids = await asyncio.gather(*futures)
            heard = asyncio.get_running_loop().time()
            statistics = sender.statistics(), other.statistics()

        assert [f"id-b{n}" for n in range(10)] == ids
        assert [] == idle.accepted
        assert 5 == most_in_a_second(line.times)
        assert heard - line.times[-1] < 0.21
        assert [True, False] == [each.has_turn for each in statistics]
        assert [20, 0] == [each.sent for each in statistics]

    async def test_an_urgent_one_passes_what_waits_elsewhere(self, line, path):
        """
        It waits for two slots at most behind a full lane of another process.
        """
        async with two(path, line, Line()) as (sender, other):
            for n in range(50):
                await sender.submit(named(f"{n}"), priority=Priority.BULK)
            await asyncio.sleep(2)
            submitted = asyncio.get_running_loop().time()
            await other.send(named("code"), priority=Priority.URGENT)
            at = line.times[line.texts.index("code")]

        assert at - submitted <= 0.41

    async def test_settled_is_told_at_both_and_an_outcome_where_it_was_settled(self, line, path):
        """
        Claimed where it is sent; Admitted where it was submitted.
        """
        told, outcomes = {"sender": [], "other": []}, {"sender": [], "other": []}
        async with (
            SendQueue(
                line,
                outbox=SqliteOutbox(path),
                on_event=told["sender"].append,
                on_outcome=outcomes["sender"].append,
            ),
            SendQueue(
                Line(),
                outbox=SqliteOutbox(path),
                on_event=told["other"].append,
                on_outcome=outcomes["other"].append,
            ) as other,
        ):
            await other.send(named("a"))

        names = {who: [type(event).__name__ for event in events] for who, events in told.items()}
        assert ["Claimed", "Left", "Answered", "Settled"] == names["sender"]
        assert ["Admitted", "Settled"] == names["other"]
        assert (1, 0) == (len(outcomes["sender"]), len(outcomes["other"]))
        assert Claimed in map(type, told["sender"])
        assert Settled in map(type, told["other"])

    async def test_the_turn_goes_over_when_its_queue_closes(self, line, path):
        """
        The next one is silent for a second: it does not know when the last one left.
        """
        second = Line()
        async with SendQueue(second, outbox=SqliteOutbox(path)) as other:
            assert other.statistics().has_turn
        async with SendQueue(line, outbox=SqliteOutbox(path)) as sender:
            async with SendQueue(second, outbox=SqliteOutbox(path)) as other:
                futures = [await other.submit(named(str(n))) for n in range(20)]
                await asyncio.sleep(1)
                await sender.aclose(drain=False)
                await asyncio.gather(*futures)

        assert sorted(map(str, range(20))) == sorted(line.accepted + second.accepted)
        assert second.times[0] - line.times[-1] >= 1
        assert 5 == most_in_a_second(sorted(line.times + second.times))

    async def test_what_the_sender_cannot_tell_is_unknown_to_who_submitted(self, line, path):
        """
        The future of the one raises what the other was told.
        """
        line.answers.append(OutcomeUnknown())
        async with two(path, line, Line()) as (_, other):
            with pytest.raises(OutcomeUnknown):
                await other.send(named("a"))

    async def test_one_takes_back_what_the_other_would_send(self, line, path):
        """
        Whichever process a person asks.
        """
        async with two(path, line, Line()) as (sender, other):
            for n in range(10):
                await sender.submit(named(str(n)))
            assert await other.withdraw("9")
            await sender.join()

        assert "9" not in line.accepted
        assert 9 == len(line.accepted)

    async def test_a_receipt_kept_by_one_is_awaited_by_the_other(self, line, path):
        """
        A load balancer gives it to any of them.
        """
        async with two(path, line, Line()) as (sender, other):
            await sender.send(named("a"))
            waiting = asyncio.ensure_future(other.delivered("a"))
            await asyncio.sleep(1)
            await sender.keep(receipt("id-a"))

            assert (await waiting).delivered

    async def test_a_drain_does_not_give_up_while_another_sends(self, line, path, caplog):
        """
        Though nothing is accepted here for more than a minute.
        """
        async with two(path, line, Line()) as (sender, other):
            for n in range(330):
                await sender.submit(named(f"{n}"))
            await asyncio.sleep(0.2)
            await other.aclose(drain=True)

        assert 330 == len(line.accepted)
        assert "gave up" not in caplog.text

    async def test_a_queue_drains_what_another_sends(self, line, path):
        """
        Closing waits until nothing is left in the file.
        """
        async with two(path, line, Line()) as (sender, other):
            await sender.submit(named("a"))
            await other.submit(named("b"))
            await other.aclose(drain=True)

            assert ["a", "b"] == line.accepted

    async def test_who_was_away_for_long_asks_for_everything(self, line, path, monkeypatch):
        """
        A file remembers so many changes; a process that slept through them looks for its own.
        """
        outbox = SqliteOutbox(path)
        await outbox.open(time.time(), MONTH)
        async with SendQueue(line.paced(1000), outbox=SqliteOutbox(path)) as sender:
            await asyncio.gather(*(sender.send(named(str(n))) for n in range(40)))
        with contextlib.closing(sqlite3.connect(path)) as db, db:
            db.execute("DELETE FROM change WHERE id < 30")
        news = await outbox.news(dict.fromkeys(["3", "39", "nobody's"]))
        again = await outbox.news(dict.fromkeys(["3", "39"]))
        await outbox.aclose()

        assert {"3": State.SENT, "39": State.SENT} == {each.reference: each.state for each in news}
        assert [] == again


class TestSubmitsOnly:
    async def test_it_never_sends(self, line, path):
        """
        It has no turn, and no pace of its own.
        """
        async with SendQueue(None, outbox=SqliteOutbox(path)) as web:
            future = await web.submit(named("a"))
            await asyncio.sleep(60)
            alone = web.statistics()
            async with SendQueue(line, outbox=SqliteOutbox(path)):
                assert "id-a" == await future

        assert (False, 0.0, 1) == (alone.has_turn, alone.pace, alone.waiting[Priority.NORMAL])
        assert alone.estimated_end is None

    def test_it_needs_an_outbox_on_disk(self):
        """
        From one in memory nobody else could send.
        """
        with pytest.raises(TypeError, match="durable outbox"):
            SendQueue(None)

    async def test_closing_leaves_its_messages_to_others(self, path):
        """
        Nothing waits for who is not there.
        """
        async with SendQueue(None, outbox=SqliteOutbox(path)) as web:
            await web.submit(named("a"))

        assert {"a": "queued"} == on_disk(path)


class TestPut:
    def test_a_message_is_on_disk(self, path):
        """
        Asked for by its reference, from any thread.
        """
        outbox = SqliteOutbox(path)
        outbox.put(named("a"), priority=Priority.URGENT)
        outbox.put(named("a"))

        assert {"a": "queued"} == on_disk(path)
        assert State.QUEUED is outbox.outcome("a").state
        with pytest.raises(KeyError):
            outbox.outcome("b")

    def test_another_message_under_its_reference(self, path):
        """
        Refused as `submit` refuses it.
        """
        outbox = SqliteOutbox(path)
        outbox.put(named("a"))

        with pytest.raises(InvalidMessage, match="already used"):
            outbox.put(sms("b", reference="a"))
        with pytest.raises(InvalidMessage, match="on_unknown"):
            outbox.put(named("c"), on_unknown="again")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="in_a_hurry"):
            outbox.put(named("c"), in_a_hurry=True)  # type: ignore[call-arg]

    async def test_it_leaves_while_a_queue_is_open(self, line, opened, path):
        """
        Within a fifth of a second, with the context that it was put with.
        """
        context, told = f"00-{'ab' * 16}-{'cd' * 8}-01", []
        async with opened(on_event=told.append):
            await asyncio.sleep(10)
            SqliteOutbox(path).put(named("a"), context=context)
            put = asyncio.get_running_loop().time()
            await asyncio.sleep(1)

        assert ["a"] == line.accepted
        assert line.times[0] - put <= 0.21
        assert [context] == [event.context for event in told if isinstance(event, Claimed)]

    def test_what_is_no_context(self, path):
        """
        A traceparent, or nothing.
        """
        with pytest.raises(InvalidMessage, match="traceparent"):
            SqliteOutbox(path).put(named("a"), context="+2250701020304")

    def test_threads_and_children_have_one_outbox(self, path):
        """
        Each child of a fork connects by itself, and its end closes nothing of its parent's.
        """
        outbox = SqliteOutbox(path)
        outbox.put(named("parent"))
        children = []
        for n in range(3):
            children.append(child := os.fork())
            if not child:
                outbox.put(named(f"child {n}"))
                os._exit(0)
        threads = [threading.Thread(target=outbox.put, args=(named(f"{n}"),)) for n in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert [0, 0, 0] == [os.waitpid(child, 0)[1] for child in children]
        outbox.put(named("afterwards"))
        assert 10 == len(on_disk(path))

    def test_it_needs_no_loop_and_no_http(self, path):
        """
        Neither is imported: it is called in places that are started often.
        """
        program = """
import sys
from orange_sms_async import OutboundMessage, SqliteOutbox
SqliteOutbox(sys.argv[1]).put(OutboundMessage("+2250701020304", "Bonjour"))
print(sorted({"httpx", "cattrs", "asyncio", "anyio"} & sys.modules.keys()))
"""
        put = subprocess.run(
            [sys.executable, "-c", program, path], capture_output=True, text=True, check=True
        )

        assert "[]\n" == put.stdout


PROCESS = """
import asyncio, sys
from orange_sms_async import OutcomeUnknown, Pacer, ResourceId, SendQueue, SentMessage, SqliteOutbox

class Endless:
    pacer, timeout = Pacer(), 30.0
    async def ready(self): pass
    async def attempt(self, message):
        print("on the wire", flush=True)
        await asyncio.sleep(3600)

async def main():
    async with SendQueue(Endless(), outbox=SqliteOutbox(sys.argv[1])):
        print("open", flush=True)
        await asyncio.sleep(3600)

asyncio.run(main())
"""


@contextlib.contextmanager
def sender(path):
    """Another process that has the turn, and whose requests never end."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", PROCESS, path], stdout=pipe, text=True) as process:
        try:
            assert "open\n" == process.stdout.readline()
            yield process
        finally:
            process.kill()


async def until(reached):
    async with asyncio.timeout(20):
        while not reached():  # noqa: ASYNC110 -- of another process
            await asyncio.sleep(0.1)


@pytest.mark.real_time
class TestProcesses:
    async def test_a_killed_sender_is_followed(self, path):
        """
        What was on its wire is unknown to who submitted it; the rest is sent by the next one.
        """
        line = Line()
        with sender(path) as process:
            async with SendQueue(line, outbox=SqliteOutbox(path)) as queue:
                cut = await queue.submit(named("cut"))
                await asyncio.to_thread(process.stdout.readline)
                process.kill()
                with pytest.raises(OutcomeUnknown, match="process ended"):
                    await asyncio.wait_for(cut, 10)
                assert "id-b" == await asyncio.wait_for(queue.send(named("b")), 10)
                assert queue.statistics().has_turn

    async def test_a_stopped_sender_is_named(self, path):
        """
        It keeps the turn; the others say which process it is, and send nothing.
        """
        line, told = Line(), []
        with sender(path) as process:
            async with SendQueue(line, outbox=SqliteOutbox(path), on_event=told.append) as queue:
                process.send_signal(signal.SIGSTOP)
                await queue.submit(named("a"))
                await until(lambda: queue.statistics().waiting_for is WaitingFor.TURN)
                words = queue.statistics().waiting_words
                process.send_signal(signal.SIGCONT)
                await until(lambda: queue.statistics().waiting_for is None)

        assert f"process {process.pid} has had the turn since" in str(words)
        assert [] == line.accepted


class TestOlderStates:
    """What was lost shows: the mark beside the file knows how far it had come."""

    async def refused(self, path):
        for _ in range(2):  # and again, as nothing was changed by it
            outbox = SqliteOutbox(path)
            with pytest.raises(OutboxUnusable, match="lacks some of what was sent"):
                await outbox.open(time.time(), MONTH)
            with pytest.raises(OutboxUnusable, match="lacks some of what was sent"):
                outbox.put(named("more"))

    async def sent(self, path, line):
        """A file whose process was killed when it had sent one of three messages."""
        async with SendQueue(line, outbox=SqliteOutbox(path)) as queue:
            futures = [await queue.submit(named(text)) for text in "abc"]
            await futures[0]
            return crash(path)

    async def test_a_log_that_is_gone(self, line, path):
        """
        Without it, nothing would be known of what was sent.
        """
        left = await self.sent(path, line)
        left.with_name(f"{left.name}-wal").unlink()

        await self.refused(left)

    async def test_a_log_that_was_cut(self, line, path):
        """
        At the end of any of its transactions: each one is known by its number.
        """
        left = await self.sent(path, line)
        log = left.with_name(f"{left.name}-wal")
        log.write_bytes(log.read_bytes()[: -(4096 + 24)])

        await self.refused(left)

    async def test_a_log_of_another_file(self, line, path, tmp_path):
        """
        It is not taken for its own.
        """
        left = await self.sent(path, line)
        other = tmp_path / "other.db"
        async with SendQueue(None, outbox=SqliteOutbox(other)) as queue:
            await queue.submit(named("z"))
            log = other.with_name("other.db-wal").read_bytes()
        left.with_name(f"{left.name}-wal").write_bytes(log)

        await self.refused(left)

    async def test_a_file_copied_alone_from_under_a_queue(self, line, opened, path, tmp_path):
        """
        What the queue sent since then, the copy would send again.
        """
        async with opened() as queue:
            await queue.send(named("a"))
        async with opened() as queue:
            copy = tmp_path / "copy.db"
            copy.write_bytes(path.read_bytes())

        await self.refused(copy)

    async def test_an_older_copy_put_in_its_place(self, line, opened, path):
        """
        A backup of yesterday knows nothing of what was sent today.
        """
        async with opened() as queue:
            await queue.send(named("a"))
        yesterday = path.read_bytes()
        async with opened() as queue:
            await queue.send(named("b"))
        path.write_bytes(yesterday)

        await self.refused(path)

    async def test_restored_it_calls_unknown_what_may_have_been_sent(self, line, path):
        """
        Nothing is sent again; what was for later still is.
        """
        left = await self.sent(path, line)
        log = left.with_name(f"{left.name}-wal")
        log.write_bytes(log.read_bytes()[: -(4096 + 24)])
        outbox = SqliteOutbox(left, restore=True)
        await begin(outbox, time.time(), MONTH)
        states = {each.reference: each.state async for each in outbox.outcomes(None)}
        await outbox.aclose()
        async with SendQueue(again := Line(), outbox=SqliteOutbox(left)) as queue:
            await queue.send(named("d"))

        assert State.QUEUED not in states.values()
        assert State.SENDING not in states.values()
        assert ["d"] == again.accepted

    async def test_a_file_that_was_closed_may_move_alone(self, line, opened, path, tmp_path):
        """
        Nothing was left to be lost.
        """
        async with opened() as queue:
            await queue.send(named("a"))
        moved = path.rename(tmp_path / "moved.db")
        outbox = SqliteOutbox(moved)
        await begin(outbox, time.time(), MONTH)
        state = (await outbox.find("a")).state
        await outbox.aclose()

        assert State.SENT is state


class TestGround:
    @pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
    async def test_a_network_file_system(self, path, tmp_path, monkeypatch, kind):
        """
        Locks lie there: two would send.
        """
        folder = str(path.parent).replace(" ", "\\040")
        mounts = tmp_path / "mountinfo"
        mounts.write_text(
            "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
            f"2 1 0:5 / {folder} rw,noatime shared:1 - {kind} a:/ rw\n"
        )
        monkeypatch.setattr(ground, "_MOUNTS", mounts)

        with pytest.raises(OutboxUnusable, match=f"on a network \\({kind}\\)"):
            await SqliteOutbox(path).open(time.time(), MONTH)
        assert not path.exists()

    async def test_a_folder_of_this_machine_below_a_network(self, path, tmp_path, monkeypatch):
        """
        What is mounted last is what is there.
        """
        mounts = tmp_path / "mountinfo"
        mounts.write_text(
            "1 0 0:5 / / rw - nfs4 a:/ rw\n"
            f"2 1 8:1 / {path.parent} rw - ext4 /dev/sda1 rw\n3 1 0:6 / /proc rw - proc proc rw\n"
        )
        monkeypatch.setattr(ground, "_MOUNTS", mounts)
        outbox = SqliteOutbox(path)
        await outbox.open(time.time(), MONTH)
        await outbox.aclose()

        assert path.exists()


class TestLog:
    async def test_it_stays_short(self, path):
        """
        Written back from time to time, so that a file that is never closed does not grow.
        """
        outbox = SqliteOutbox(path)
        for n in range(1500):
            outbox.put(named(f"{n:05}{'x' * 900}"))

        assert path.with_name("outbox.db-wal").stat().st_size < 2 * journal._LONG
        assert path.stat().st_size > 1500 * 900

    async def test_it_is_not_written_back_while_another_may_commit(self, path):
        """
        The race of SQLite needs both at once.
        """
        outbox = SqliteOutbox(path)
        outbox.put(named("first"))
        log = path.with_name("outbox.db-wal")
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM message").fetchall()
            while log.stat().st_size < journal._LONG:
                outbox.put(named(f"{log.stat().st_size}{'x' * 900}"))
            before = path.stat().st_size
            writer = sqlite3.connect(path, isolation_level=None, timeout=0)
            writer.execute("BEGIN IMMEDIATE")
            with pytest.raises(OutboxUnusable, match="held by"):
                outbox.put(named("kept out"))
            after = path.stat().st_size
            writer.close()

        assert before == after
