"""One at a time has an outbox, whatever becomes of its locks and its name."""

import contextlib
import errno
import fcntl
import gc
import os
import shutil
import subprocess
import sys
import time

import pytest
from disk import MONTH, begin, crash
from line import Line, named

from orange_sms_async import Priority, QueueClosed, SendQueue
from orange_sms_async.errors import OutboxUnusable
from orange_sms_async.outbox import Entry
from orange_sms_async.outbox.sqlite import SqliteOutbox
from orange_sms_async.outcomes import Outcome, State

HOLDER = """
import asyncio, datetime, sys
from orange_sms_async.outbox.sqlite import SqliteOutbox
from orange_sms_async.outcomes import Outcome, State
outbox = SqliteOutbox(sys.argv[1])

async def hold():
    await outbox.open(0, datetime.timedelta(1))
    taken = await outbox.take_turn(0)
    if taken:
        await outbox.tidy(0)
    print("held" if taken else "held by another", flush=True)

try:
    asyncio.run(hold())
except OSError as error:
    print(type(error).__name__, error, flush=True)
sys.stdin.read()
"""


PARENT = """
import os, sys
from pathlib import Path
from orange_sms_async.outbox.sqlite.turn import take
path = Path(sys.argv[1])
path.touch()
turn = take(path)
child = os.fork()
if not child:
    try:
        take(path)
    except BlockingIOError as error:
        os._exit("another process" not in str(error))
    os._exit(2)
print(os.waitpid(child, 0)[1], flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def another_process(path, program=HOLDER):
    """Another process that opens the file; what it says of it."""
    command = [sys.executable, "-c", program, path]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


async def opened_at(path):
    outbox = SqliteOutbox(path)
    await begin(outbox, time.time(), MONTH)
    return outbox


async def refused(path):
    """Another has the turn: this one may open the file, and not send from it."""
    outbox = SqliteOutbox(path)
    await outbox.open(time.time(), MONTH)
    assert not await outbox.take_turn(time.time())
    await outbox.aclose()


class TestTurn:
    async def test_a_file_another_process_has(self, opened, path):
        """
        Two that send from one file would send twice; when the first is gone, the second may.
        """
        with another_process(path) as said:
            assert "held" == said
            await refused(path)
        async with opened() as queue:
            assert "id-a" == await queue.send(named("a"))

    async def test_a_file_this_process_has(self, outbox, path):
        """
        Not even two queues of one process; and having tried does not let another process in.
        """
        async with SendQueue(Line(), outbox=outbox):
            await refused(path)
            with another_process(path) as said:
                assert "held by" in said

    async def test_a_file_under_another_name(self, outbox, path):
        """
        A link leads to the file that is held.
        """
        link = path.with_name("link.db")
        link.symlink_to(path)
        async with SendQueue(Line(), outbox=outbox):
            await refused(link)
            with another_process(link) as said:
                assert "held by" in said

    async def test_a_process_that_copies_its_file_keeps_it(self, outbox, path, tmp_path):
        """
        To close any reader of a file frees the locks that its process has on it.
        """
        async with SendQueue(Line(), outbox=outbox):
            shutil.copy(path, tmp_path / "copy.db")
            with another_process(path) as said:
                assert "held by" in said

    # Newer Pythons say that its connection was not closed, which is the point.
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    async def test_an_outbox_nobody_refers_to_is_let_go_of(self, path):
        """
        Its loop ended before it was closed.
        """
        outbox = await opened_at(path)
        await refused(path)
        del outbox
        gc.collect()

        await (await opened_at(path)).aclose()

    async def test_a_child_has_no_turn_of_its_parent(self, path):
        """
        Begun anew after a fork: the child is refused, and its end frees nothing.
        """
        with another_process(path, PARENT) as said:
            assert "0" == said
            await refused(path)

    async def test_a_file_system_without_locks(self, path, monkeypatch):
        """
        Where nobody can be kept out, nobody begins.
        """

        def lockf(*_: object) -> None:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        monkeypatch.setattr(fcntl, "lockf", lockf)
        outbox = SqliteOutbox(path)
        await outbox.open(time.time(), MONTH)
        with pytest.raises(OutboxUnusable, match="No locks available") as unusable:
            await outbox.take_turn(time.time())
        await outbox.aclose()

        assert str(path) in str(unusable.value)

    async def test_root_leaves_the_turn_to_the_owner_of_the_file(self, path):
        """
        A person who looks as root does not lock the service out.
        """
        path.touch()
        owner = 65534 if os.geteuid() == 0 else os.geteuid()
        os.chown(path, owner, -1)
        await (await opened_at(path)).aclose()

        assert owner == path.with_name("outbox.db.turn").stat().st_uid


class TestLockLost:
    async def stopped(self, line, outbox, lose, why):
        """A queue whose file is lost in the middle sends nothing more, and says why."""
        async with SendQueue(line, outbox=outbox) as queue:
            await queue.send(named("before"))
            with lose:
                with pytest.raises((OutboxUnusable, QueueClosed)) as refused:
                    await queue.send(named("after"))
                with pytest.raises(OutboxUnusable, match=why):
                    await outbox.claim(time.time())

        assert ["before"] == line.accepted
        assert why in str(refused.value)

    async def test_who_lost_its_lock_stops_when_another_has_the_file(self, line, outbox, path):
        """
        The mark in the file says whose it is, where a lock did not last.
        """
        path.with_name("outbox.db.turn").touch()

        @contextlib.contextmanager
        def lose():
            path.with_name("outbox.db.turn").unlink()
            with another_process(path) as said:
                assert "held" == said
                yield

        await self.stopped(line, outbox, lose(), "another process took the turn")

    async def test_a_file_replaced_while_it_is_open(self, line, outbox, path):
        """
        A backup was put in its place: what it says must not be sent, nor written to the old one.
        """

        @contextlib.contextmanager
        def lose():
            crash(path).replace(path)
            yield

        await self.stopped(line, outbox, lose(), "removed or replaced")

    async def test_a_file_removed_while_it_is_open(self, line, outbox, path):
        """
        What is admitted now would be gone with the process.
        """

        @contextlib.contextmanager
        def lose():
            path.unlink()
            yield

        await self.stopped(line, outbox, lose(), "removed or replaced")

    async def test_a_claim_in_the_hands_of_another_is_not_settled(self, line, outbox, path):
        """
        What was on the wire when the lock was lost is what the other process says: unknown.
        """
        await begin(outbox, time.time(), MONTH)
        await outbox.add(Entry(named("a"), Priority.NORMAL))
        claim = await outbox.claim(time.time())
        path.with_name("outbox.db.turn").unlink()
        with another_process(path) as said:
            assert "held" == said
            await outbox.put_back(claim, again=False)
            failed = Outcome("a", State.WITHDRAWN)
            assert [] == await outbox.settle(claim, failed, time.time())
        await outbox.aclose()
        outbox = await opened_at(path)
        found = await outbox.find("a")
        await outbox.aclose()

        assert "unknown" == found.state
