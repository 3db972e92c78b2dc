"""A file that is damaged: nothing is sent twice, and what can be mended is."""

import asyncio
import contextlib
import sqlite3
from collections import Counter

import pytest
from disk import MONTH, begin, crash, leave, on_disk
from line import named
from times import emptied

from orange_sms_async import Priority, QueueClosed, ResourceId, SqliteOutbox
from orange_sms_async.errors import OutboxUnusable
from orange_sms_async.outbox import Entry
from orange_sms_async.outbox.sqlite.damage import _sound
from orange_sms_async.outcomes import Outcome, State

TEN = [Entry(named(f"{n}"), Priority.BULK) for n in range(10)]


def flip(path, index, cell):
    """Flip the last bit of an entry of an index: it now names another row."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        (page,) = db.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = ?", (index,)
        ).fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    content = bytearray(path.read_bytes())
    start = (page - 1) * size
    pointer = start + 8 + 2 * cell
    entry = start + int.from_bytes(content[pointer : pointer + 2])
    content[entry + content[entry]] ^= 1
    path.write_bytes(content)


async def killed(path, *entries):
    """Return a file with these messages, as a killed process leaves it."""
    outbox = SqliteOutbox(path)
    await begin(outbox, 0.0, MONTH)
    for entry in entries:
        await outbox.add(entry)
    left = crash(path)
    await outbox.aclose()
    with contextlib.closing(sqlite3.connect(left)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return left


@pytest.mark.parametrize("cell", range(2, 9))
async def test_one_flipped_bit_in_an_index_sends_no_message_twice(line, opened, path, cell):
    """
    What is taken is what its row says; the queue stops, and the next one mends the index.
    """
    await leave(path, *TEN)
    flip(path, "ready", cell)
    async with asyncio.timeout(600), opened() as queue:
        with pytest.raises((OutboxUnusable, QueueClosed), match="damaged"):
            await asyncio.gather(*(queue.send(entry.message) for entry in TEN))
    async with opened() as queue:
        await emptied(queue)

    assert {entry.message.reference for entry in TEN} == set(line.accepted)
    assert {1} == set(Counter(line.accepted).values())


@pytest.mark.parametrize("index", ["ready", "sqlite_autoindex_message_1"])
async def test_after_a_kill_indexes_are_compared_with_their_messages(path, index, caplog):
    """
    They are made again of the messages, and a person is told to look after the disk.
    """
    left = await killed(path, *TEN)
    flip(left, index, 5)
    outbox = SqliteOutbox(left)
    await begin(outbox, 0.0, MONTH)
    claims = [await outbox.claim(0.0) for _ in TEN]
    await outbox.aclose()

    assert [entry.message.reference for entry in TEN] == [claim.reference for claim in claims]
    [record] = caplog.records
    assert ("WARNING", "indexes_rebuilt") == (record.levelname, record.event)
    assert "check the disk" in caplog.text


async def test_after_a_kill_a_table_that_is_damaged_is_refused(path):
    """
    What its rows were, no index tells.
    """
    left = await killed(path, *TEN)
    with contextlib.closing(sqlite3.connect(left, isolation_level=None)) as db:
        db.execute("PRAGMA writable_schema = ON")
        schema = "UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE name = 'message'"
        db.execute(schema, ("on_net INTEGER NOT NULL", "on_net INTEGER"))
        db.execute("PRAGMA writable_schema = RESET")
        db.execute("UPDATE message SET on_net = NULL WHERE id = 3")
        db.execute("PRAGMA writable_schema = ON")
        db.execute(schema, ("on_net INTEGER", "on_net INTEGER NOT NULL"))
    with pytest.raises(OutboxUnusable, match="not only its indexes"):
        await begin(SqliteOutbox(left), 0.0, MONTH)

    assert dict.fromkeys("0123456789", "queued") == on_disk(left)


@pytest.mark.parametrize("restore", [False, True])
async def test_a_file_of_another_time_beside_its_log_is_refused(path, restore):
    """
    By its log nothing is missing, and what was sent since would be sent again.
    """
    outbox = SqliteOutbox(path)
    await begin(outbox, 0.0, MONTH)
    for n in range(200):
        await outbox.add(Entry(named(f"{n}"), Priority.NORMAL))
    await outbox._file.write_back()
    older = path.read_bytes()
    for n in range(20):
        claim = await outbox.claim(1.0)
        assert claim is not None
        await outbox.settle(claim, Outcome(f"{n}", State.SENT, ResourceId(f"{n}")), 1.0)
    await outbox._file.write_back()
    await outbox.add(Entry(named("200"), Priority.NORMAL))
    left = crash(path)
    left.write_bytes(older)
    await outbox.aclose()

    for _ in range(2):
        with pytest.raises(OutboxUnusable, match="not from the same time as the log beside it"):
            await begin(SqliteOutbox(left, restore=restore), 2.0, MONTH)
    left.with_name("outbox.db-wal").unlink()
    await begin(restored := SqliteOutbox(left, restore=True), 2.0, MONTH)
    assert await restored.claim(2.0) is None
    await restored.aclose()
    await begin(again := SqliteOutbox(left), 3.0, MONTH)
    await again.aclose()


def test_a_large_file_is_looked_at_as_long_as_there_is_time(path):
    """
    It counts as sound as far as was seen.
    """
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE numbers (number INTEGER PRIMARY KEY, text TEXT)")
        db.executemany("INSERT INTO numbers VALUES (?, 'x')", ((n,) for n in range(20_000)))

        assert _sound(db, seconds=0)
        assert db.execute("SELECT count(*) FROM numbers").fetchone() == (20_000,)
