"""An outbox that another program holds for long, as one that was stopped amid a write does."""

import asyncio
import contextlib
import errno
import sqlite3

import pytest
from disk import on_disk
from line import named

from orange_sms_async import OutboxUnusable, SendQueue
from orange_sms_async.events import GoingOn, Waiting, WaitingFor

pytestmark = pytest.mark.real_time


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr("orange_sms_async.outbox.sqlite.database._PATIENCE", 0.1)


@contextlib.contextmanager
def holding(path):
    """Begin to write, and let nobody else."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("ROLLBACK")


async def test_what_waits_leaves_once_it_is_let_go(line, opened, path):
    """
    It cannot be claimed meanwhile: the queue says so once, and goes on.
    """
    told = []
    async with opened(on_event=told.append) as queue:
        futures = [await queue.submit(named(str(n))) for n in range(3)]
        with holding(path):
            await asyncio.sleep(0.7)
            left, why = len(line.left), queue.statistics().waiting_for
        await asyncio.gather(*futures)

    assert (1, WaitingFor.DATABASE) == (left, why)
    waits = [event for event in told if isinstance(event, Waiting | GoingOn)]
    assert [Waiting, GoingOn] == [*map(type, waits)]
    assert {"0": "sent", "1": "sent", "2": "sent"} == on_disk(path)


async def test_an_answer_is_kept_once_it_is_let_go(line, opened, path):
    """
    It came while the file was held: the message is sent, and not unknown.
    """
    line.delay = 0.2
    async with opened() as queue:
        future = await queue.submit(named("a"))
        while not line.left:  # noqa: ASYNC110 -- a line tells nobody
            await asyncio.sleep(0.01)
        with holding(path):
            await asyncio.sleep(0.5)
            assert not future.done()
        assert "id-a" == await future

    assert {"a": "sent"} == on_disk(path)


async def test_the_turn_is_taken_once_it_is_let_go(line, opened, path, outbox):
    """
    A queue that waits for its turn waits for the file, too.
    """
    async with opened() as first, SendQueue(line, outbox=outbox) as second:
        future = await second.submit(named("a", sender_name="x"), not_before=None)
        await first.aclose(drain=False)
        with holding(path):
            await asyncio.sleep(0.7)
        await future

    assert {"a": "sent"} == on_disk(path)


async def test_a_message_is_not_admitted_meanwhile(line, opened, path):
    """
    Many who submit at once are told at once, and that it may be tried again.
    """
    async with opened() as queue:
        with holding(path):
            async with asyncio.timeout(1):
                refused = await asyncio.gather(
                    *(queue.submit(named(str(n))) for n in range(50)), return_exceptions=True
                )
        assert "id-0" == await queue.send(named("0"))

    assert {OutboxUnusable} == {*map(type, refused)}
    assert {errno.EBUSY} == {error.errno for error in refused}
    assert "held by another process" in str(refused[0])
