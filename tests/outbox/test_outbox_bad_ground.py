"""Files, folders and disks that an outbox cannot use: refused by name, left as they are."""

import asyncio
import contextlib
import os
import resource
import shutil
import sqlite3
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from disk import MONTH, begin, crash, leave, on_disk, outcomes
from line import named
from times import emptied, later

from orange_sms_async import Priority, QueueClosed, SendQueue
from orange_sms_async.errors import OutboxUnusable
from orange_sms_async.outbox import Entry
from orange_sms_async.outbox.sqlite import SqliteOutbox


@pytest.fixture
def unprivileged():
    """Root may write anywhere: be nobody meanwhile."""
    if os.geteuid() == 0:
        os.seteuid(65534)
        yield
        os.seteuid(0)
    else:
        yield


@pytest.fixture
def folder():
    """A folder that others may enter, unlike pytest's."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


class TestBadGround:
    async def refused(self, line, path, *causes):
        with pytest.raises(OutboxUnusable) as unusable:
            async with SendQueue(line, outbox=SqliteOutbox(path)) as queue:
                await queue.send(named("a"))

        said = str(unusable.value)
        assert str(path) in said
        assert any(cause in said for cause in causes), said
        assert isinstance(unusable.value, OSError)
        assert [] == line.left

    @pytest.mark.parametrize("path", ["", ":memory:", Path(":memory:")])
    def test_what_names_no_file(self, path):
        """
        SQLite would keep it in memory, and what was admitted would be gone with the process.
        """
        with pytest.raises(ValueError, match="kept on disk"):
            SqliteOutbox(path)

    @pytest.mark.parametrize(
        "name", ["file:outbox?mode=memory", "file::memory:?cache=shared", "file:x?vfs=memdb"]
    )
    async def test_a_name_that_looks_like_a_setting(self, name, tmp_path, monkeypatch):
        """
        It is a name as any other, of a file that stays.
        """
        monkeypatch.chdir(tmp_path)
        outbox = SqliteOutbox(name)
        await begin(outbox, 0.0, MONTH)
        await outbox.add(Entry(named("a"), Priority.NORMAL))
        await outbox.aclose()

        assert {"a": "queued"} == on_disk(tmp_path / name)

    async def test_a_folder_that_is_not_there(self, line, tmp_path):
        """
        It is not made up.
        """
        await self.refused(line, tmp_path / "none" / "outbox.db", "No such file")

    async def test_a_folder_as_file_and_a_file_as_folder(self, line, tmp_path):
        """
        Each is named.
        """
        (tmp_path / "file").touch()
        await self.refused(line, tmp_path, "Is a directory")
        await self.refused(line, tmp_path / "file" / "outbox.db", "Not a directory")

    async def test_a_read_only_folder(self, line, folder, unprivileged):
        """
        No file can be made there.
        """
        if os.geteuid() == folder.stat().st_uid:
            folder.chmod(0o555)
        await self.refused(line, folder / "outbox.db", "Permission denied")

    async def test_a_file_in_a_folder_that_became_read_only(self, line, folder, request):
        """
        SQLite needs to write beside it.
        """
        path = folder / "outbox.db"
        await leave(path)
        path.chmod(0o666)
        folder.chmod(0o555)
        request.getfixturevalue("unprivileged")
        await self.refused(line, path, "unable to open", "readonly", "Permission denied")

    async def test_a_file_one_may_only_read(self, line, folder, request):
        """
        A backup made read-only stays what it is.
        """
        path = folder / "outbox.db"
        await leave(path)
        path.chmod(0o444)
        request.getfixturevalue("unprivileged")
        await self.refused(line, path, "Permission denied")

    @pytest.mark.parametrize("content", [b"to;text\n" * 1_000, b"x", os.urandom(8_192)])
    async def test_a_file_that_is_no_database_is_left_alone(self, line, path, content):
        """
        Somebody's list, given by mistake.
        """
        path.write_bytes(content)
        await self.refused(line, path, "not an outbox")

        assert content == path.read_bytes()
        assert ["outbox.db"] == [file.name for file in path.parent.iterdir()]

    @pytest.mark.parametrize("journal", ["delete", "wal"])
    async def test_a_database_of_another_program_is_left_alone(self, line, path, journal):
        """
        Byte for byte.
        """
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute(f"PRAGMA journal_mode = {journal}")
            db.execute("CREATE TABLE message (reference)")
            db.commit()
            foreign = crash(path)  # with what its program had not written back yet
        before = {file.name: file.read_bytes() for file in foreign.parent.iterdir()}
        await self.refused(line, foreign, "another program")

        assert before == {file.name: file.read_bytes() for file in foreign.parent.iterdir()}

    async def test_an_empty_database_of_another_program(self, line, path):
        """
        One that says whose it is, without a table yet.
        """
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA application_id = 7")
            db.commit()
        before = path.read_bytes()
        await self.refused(line, path, "another program")

        assert before == path.read_bytes()

    async def test_a_newer_schema(self, line, path):
        """
        Written by a newer version: not touched by this one.
        """
        await leave(path, Entry(named("a"), Priority.NORMAL))
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA user_version = 99")
        before = path.read_bytes()
        await self.refused(line, path, "newer version")

        assert before == path.read_bytes()

    @pytest.mark.parametrize("where", ["header", "pages", "cut"])
    async def test_a_damaged_file(self, line, path, where):
        """
        Better no message than from a file that cannot be trusted.
        """
        entries = (Entry(named(str(n)), Priority.NORMAL) for n in range(200))
        await leave(path, *entries)
        content = bytearray(path.read_bytes())
        if where == "header":
            content[:4_096] = b"\xaa" * 4_096
        elif where == "pages":
            content[4_096:] = b"\xaa" * (len(content) - 4_096)
        else:
            del content[4_096:]
        path.write_bytes(content)
        await self.refused(line, path, "damaged", "malformed", "corrupt")

    async def test_an_empty_file(self, line, opened, path):
        """
        Made by `touch`: as good as none.
        """
        path.touch()
        async with opened() as queue:
            await queue.send(named("a"))

        assert {"a": "sent"} == on_disk(path)

    async def test_asked_of_a_file_that_was_refused(self, path):
        """
        It says at once that it is not open: a receipt that comes meanwhile is answered 503.
        """
        path.write_text("of another program")
        for refused in (SqliteOutbox(path), SqliteOutbox(path)):
            with pytest.raises(OutboxUnusable, match="not an outbox"):
                await refused.open(0.0, MONTH)
            async with asyncio.timeout(5):
                with pytest.raises(OutboxUnusable, match="not open"):
                    await refused.find("a")
                await refused.aclose()

    async def test_a_file_refused_is_let_go_of(self, line, opened, path):
        """
        Repaired, it opens: the refusal left no lock behind.
        """
        await leave(path, Entry(named("a"), Priority.NORMAL))
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("ALTER TABLE message RENAME TO away")
        outbox = SqliteOutbox(path)
        with pytest.raises(OutboxUnusable):
            await begin(outbox, 0.0, MONTH)
        with contextlib.closing(sqlite3.connect(path, timeout=0)) as db:
            db.execute("ALTER TABLE away RENAME TO message")
        async with opened() as queue:
            await queue.aclose()

        assert ["a"] == line.accepted


@contextlib.contextmanager
def largest_file(size):
    """A disk on which no file grows beyond this."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def submit_until_full(queue, count, admitted):
    for n in range(count):
        admitted[str(n)] = await queue.submit(named(str(n), sender_name="MonService"))


class TestFullDisk:
    async def test_no_more_is_admitted_and_what_was_is_sent(self, line, outbox, opened, path):
        """
        A file that cannot grow refuses new messages by their error, and loses none.
        """
        admitted = {}
        async with asyncio.timeout(600), SendQueue(line, outbox=outbox) as queue:
            connection = outbox._file._opened.db
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages + 10}")
            with pytest.raises(OutboxUnusable, match=r"outbox\.db: .*full"):
                await submit_until_full(queue, 10_000, admitted)
            results = await asyncio.gather(*admitted.values(), return_exceptions=True)
            await queue.aclose()
        async with opened() as queue:
            await queue.aclose()

        assert admitted
        assert {str, QueueClosed} >= {type(result) for result in results}
        assert Counter(admitted.keys()) == Counter(line.accepted)
        assert {"sent", "unknown"} >= set(on_disk(path).values())

    @pytest.mark.parametrize("room", [0, 20_000, 200_000])
    async def test_a_disk_that_takes_nothing_more(self, line, opened, path, room):
        """
        When not even what leaves can be written down, nothing leaves; later it all goes on.
        """
        admitted = {}
        async with asyncio.timeout(600), opened() as queue:
            await queue.submit(named("first"), not_before=later(queue, 0.1))
            size = path.with_name("outbox.db-wal").stat().st_size
            with largest_file(size + room):
                with pytest.raises((OutboxUnusable, QueueClosed)):
                    await submit_until_full(queue, 10_000, admitted)
                await queue.aclose()
        left = [time for time, _ in line.left]
        async with opened() as queue:
            unknown = {outcome.reference for outcome in queue.recovered}
            await emptied(queue)
            states = await outcomes(queue)

        assert admitted.keys() | {"first"} <= states.keys()
        assert {1} >= set(Counter(line.texts).values())
        assert {"sent", "unknown"} >= set(states.values())
        assert len(unknown) <= len(left)

    async def test_a_disk_with_no_room_for_a_new_file(self, line, path):
        """
        Said on opening, by the file's name.
        """
        with largest_file(1_000):
            await TestBadGround().refused(line, path, "disk")

    async def test_an_outcome_that_cannot_be_kept_is_true_all_the_same(self, line, opened, path):
        """
        Its future has it; the queue stops; the file, opened again, calls it unknown.
        """
        line.delay = 1.0
        async with opened() as queue:
            first = await queue.submit(named("a"))
            second = await queue.submit(named("b"), not_before=later(queue, 60))
            await asyncio.sleep(0.5)
            with largest_file(path.with_name("outbox.db-wal").stat().st_size):
                await asyncio.wait({first, second})
                await queue.aclose()

        assert "id-a" == first.result()
        assert isinstance(second.exception(), QueueClosed)
        assert isinstance(second.exception().__cause__, OutboxUnusable)
        async with opened() as queue:
            assert ["a"] == [outcome.reference for outcome in queue.recovered]
            await queue.aclose(drain=False)
