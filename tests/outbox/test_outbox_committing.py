"""What submit, the wire and the outcome write is on disk before anybody is told."""

import asyncio
import shutil

from disk import MONTH, Peeking, begin, on_disk
from line import named
from times import later

from orange_sms_async import Priority, RequestRejected, SendQueue
from orange_sms_async.outbox import Entry
from orange_sms_async.outbox.sqlite import SqliteOutbox


class TestCommitted:
    async def test_what_submit_returned_is_on_disk(self, opened, path):
        """
        The await of submit is the commit.
        """
        async with opened() as queue:
            await queue.submit(named("a"), not_before=later(queue, 60))

            assert {"a": "scheduled"} == on_disk(path)
            await queue.aclose(drain=False)

    async def test_sending_is_on_disk_before_the_request_leaves(self, path):
        """
        Whatever happens on the wire, the file says that something may have left.
        """
        line = Peeking(path)
        async with SendQueue(line, outbox=SqliteOutbox(path)) as queue:
            await queue.send(named("a"))

        assert [{"a": "sending"}] == [on_disk(copy) for copy in line.crashes]

    async def test_the_outcome_is_on_disk_before_the_future_has_it(self, opened, path):
        """
        What a future said is still so after a crash.
        """
        seen = []
        async with opened() as queue:
            future = await queue.submit(named("a"))
            future.add_done_callback(lambda _: seen.append(on_disk(path)))
            await future

        assert [{"a": "sent"}] == seen

    async def test_the_outcome_is_on_disk_before_it_is_told(self, line, opened, path):
        """
        A callback may act on it: a crash does not make it untrue.
        """
        seen = []
        line.answers.append(RequestRejected())
        async with opened(on_outcome=lambda _: seen.append(on_disk(path))) as queue:
            await queue.submit(named("a"))
            await queue.aclose()

        assert [{"a": "failed"}] == seen

    async def test_what_was_asked_for_is_done_before_the_file_closes(self, path):
        """
        A queue that stops in the same instant finds it on disk, waiting, and no error.
        """
        outbox = SqliteOutbox(path)
        await begin(outbox, 0.0, MONTH)
        keeping = outbox.add(Entry(named("a"), Priority.NORMAL))
        await outbox.aclose()

        assert await keeping is None
        assert {"a": "queued"} == on_disk(path)

    async def test_many_producers_share_a_commit(self, line, outbox):
        """
        A hundred submitted together wait for a few fsyncs, not for a hundred.
        """
        async with SendQueue(line, outbox=outbox) as queue:
            statements = []
            outbox._file._opened.db.set_trace_callback(statements.append)
            due = later(queue, 60)
            await asyncio.gather(*(queue.submit(named(str(n)), not_before=due) for n in range(100)))

            assert 10 > statements.count("COMMIT")
            assert 100 == queue.statistics().waiting[Priority.NORMAL]
            await queue.aclose(drain=False)

    async def test_every_commit_reaches_the_disk(self, line, outbox):
        """
        A write-ahead log synchronised at each commit; who else wrote is seen at the next.
        """
        async with SendQueue(line, outbox=outbox):
            pragma = {
                name: outbox._file._opened.db.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("journal_mode", "synchronous", "locking_mode")
            }

        assert {"journal_mode": "wal", "synchronous": 2, "locking_mode": "normal"} == pragma

    async def test_submit_nowait_returns_before_and_its_future_after(self, line, opened, path):
        """
        It cannot wait for the disk; the future does.
        """
        async with opened() as queue:
            future = queue.submit_nowait(named("a"))
            assert {} == on_disk(path)

            assert "id-a" == await future
            assert {"a": "sent"} == on_disk(path)


async def test_a_checkpoint_cut_in_its_middle_is_no_damage(path):
    """
    Killed while the log was written back: the file is shorter than it says, and all is there.
    """
    outbox = SqliteOutbox(path)
    await begin(outbox, 0.0, MONTH)
    empty = path.read_bytes()
    for n in range(200):
        await outbox.add(Entry(named(f"{n}"), Priority.NORMAL))
    log = path.with_name("outbox.db-wal").read_bytes()
    shutil.copy(path.with_name("outbox.db.mark"), path.with_name("cut.db.mark"))
    await outbox.aclose()
    cut = path.with_name("cut.db")
    cut.write_bytes(path.read_bytes()[:4096] + empty[4096:])
    path.with_name("cut.db-wal").write_bytes(log)

    again = SqliteOutbox(cut)
    await begin(again, 0.0, MONTH)
    assert 200 == again.unfinished
    await again.aclose()
