"""No number and no text, where none is needed: forgotten, removed, never shown."""

import asyncio
import contextlib
import logging
import os
import sqlite3
import stat
import traceback
from datetime import timedelta

import pytest
from disk import DAY, Opaque, begin
from line import named, sms
from times import later, pass_at_once

from orange_sms_async import (
    ConnectionFailed,
    InvalidMessage,
    OutcomeUnknown,
    Priority,
    RequestRejected,
    SendQueue,
)
from orange_sms_async.errors import OutboxUnusable
from orange_sms_async.outbox import Entry
from orange_sms_async.outbox.sqlite import SqliteOutbox


class TestForgetting:
    NUMBER, TEXT = b"2250701020304", b"confidentiel"

    def bytes_on_disk(self, path):
        return b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))

    async def test_numbers_and_texts_are_nowhere_in_the_file(self, outbox, path):
        """
        Neither in the tables nor in what the file no longer uses, nor beside it.
        """
        line, text = Opaque(), self.TEXT.decode()
        line.answers.extend([None, RequestRejected()])
        async with SendQueue(line, outbox=outbox) as queue:
            for n in range(40):
                await queue.submit(sms(text * 30, reference=f"long {n}", sender_name="MonService"))
                await queue.submit(sms(f"{text} {n}", reference=f"short {n}"))
            await queue.join()
            assert self.TEXT in self.bytes_on_disk(path)
            assert 80 == await outbox.forget()

            for secret in (self.NUMBER, self.TEXT, b"MonService"):
                assert secret not in self.bytes_on_disk(path)
        for secret in (self.NUMBER, self.TEXT, b"MonService"):
            assert secret not in self.bytes_on_disk(path)

    async def test_what_retention_removes_is_removed(self, outbox, path):
        """
        No trace of its text stays in the pages that are free now.
        """
        second = timedelta(seconds=1)
        async with SendQueue(Opaque(), outbox=outbox, retention=second) as queue:
            for n in range(40):
                await queue.submit(sms(f"{self.TEXT.decode() * 30} {n}"))
            await queue.join()
            for n in range(10):
                await pass_at_once(DAY + 1)
                await queue.send(type(sms())("+221770001122", f"autre {n}"))

        assert self.TEXT not in self.bytes_on_disk(path)

    async def test_what_a_file_holds_does_not_depend_on_how_sqlite_was_built(self, line, outbox):
        """
        Some builds leave deleted content in the file unless told otherwise.
        """
        async with SendQueue(line, outbox=outbox):
            [(deletes,)] = outbox._file._opened.db.execute("PRAGMA secure_delete").fetchall()

        assert 1 == deletes

    async def test_outcomes_stay_and_references_are_recognised(self, line, outbox, opened):
        """
        Sent stays sent: the same message is not sent again, another one is refused.
        """
        line.answers.extend([None, RequestRejected("no", request_id="r-1")])
        async with SendQueue(line, outbox=outbox) as queue:
            for text in "ab":
                await queue.submit(named(text))
            await queue.join()
            await outbox.forget()
            assert 0 == await outbox.forget()
        async with opened() as queue:
            assert "id-a" == await queue.send(named("a"))
            with pytest.raises(InvalidMessage, match="reference"):
                await queue.submit(sms("autre", reference="a"))
            with pytest.raises(RequestRejected) as rejected:
                await queue.send(named("b"))

        assert "r-1" == rejected.value.request_id
        assert ["a", "b"] == line.texts

    async def test_what_waits_or_is_unknown_is_not_forgotten(self, line, outbox):
        """
        It may have to be sent yet.
        """
        line.answers.append(OutcomeUnknown())
        async with SendQueue(line, outbox=outbox) as queue:
            await queue.submit(named("unknown"))
            await queue.submit(named("waits"), not_before=later(queue, 60))
            await asyncio.sleep(1)
            assert 0 == await outbox.forget()
            await queue.resolve("unknown", sent=None)
            await queue.aclose()

        assert ["unknown", "unknown", "waits"] == line.texts

    async def test_two_files_have_two_keys(self, line, tmp_path):
        """
        A hash of one file says nothing about another.
        """
        hashes = []
        for name in ("one", "two"):
            path = tmp_path / name
            outbox = SqliteOutbox(path)
            async with SendQueue(line, outbox=outbox) as queue:
                await queue.send(named("a"))
                await outbox.forget()
            with contextlib.closing(sqlite3.connect(path)) as db:
                hashes += db.execute("SELECT fingerprint FROM message").fetchall()

        assert 2 == len(set(hashes))


class TestPrivacy:
    async def test_files_are_their_owners_alone(self, opened, path):
        """
        0600, whatever the umask is, also beside the file.
        """
        before = os.umask(0)
        try:
            async with opened() as queue:
                await queue.send(named("a"))
                modes = {
                    file.name: stat.S_IMODE(file.stat().st_mode)
                    for file in path.parent.glob(f"{path.name}*")
                }
        finally:
            os.umask(before)

        names = ["outbox.db", "outbox.db-shm", "outbox.db-wal"]
        names += ["outbox.db.mark", "outbox.db.turn"]
        assert dict.fromkeys(names, 0o600) == modes

    async def test_no_number_and_no_text_is_shown(self, path, caplog):
        """
        In no repr, error or log, whatever happens.
        """
        caplog.set_level(logging.DEBUG)
        line, outbox = Opaque(), SqliteOutbox(path)
        line.answers.extend([ConnectionFailed(), KeyError("secret"), RequestRejected()])
        shown = []
        async with SendQueue(
            line, outbox=outbox, on_outcome=lambda outcome: shown.append(repr(outcome))
        ) as queue:
            for n in range(4):
                await queue.submit(sms("confidentiel", reference=str(n)))
            await queue.join()
            with pytest.raises(InvalidMessage) as invalid:
                await queue.submit(sms("autre", reference="0"))
            outbox._file._opened.db.execute("DROP TABLE message")
            with pytest.raises(OutboxUnusable) as unusable:
                await queue.submit(sms("confidentiel"))
            entry = Entry(sms("confidentiel"), Priority.NORMAL)
            shown += map(repr, [outbox, entry, invalid.value, unusable.value])
        shown += [record.getMessage() for record in caplog.records]

        assert not [said for said in shown if "701020304" in said or "confidentiel" in said]

    @pytest.mark.parametrize(
        "damage",
        [
            "UPDATE message SET text = CAST(X'ff' || text AS TEXT)",
            "ALTER TABLE message RENAME COLUMN sender_name TO confidentiel",
            "CREATE TRIGGER t UPDATE ON message BEGIN SELECT RAISE(ABORT, 'confidentiel'); END",
        ],
        ids=["a text that is none", "another column", "another program's words"],
    )
    async def test_an_unusable_outbox_shows_no_number_and_no_text(self, outbox, damage):
        """
        SQLite quotes what it could not read or find: neither its words nor its error go on.
        """
        await begin(outbox, 0.0, timedelta(30))
        await outbox.add(Entry(sms("confidentiel"), Priority.NORMAL))
        outbox._file._opened.db.execute(damage)
        with pytest.raises(OutboxUnusable, match="damaged") as unusable:
            await outbox.claim(0.0)
        await outbox.aclose()

        shown = "".join(traceback.format_exception(unusable.value))
        assert "confidentiel" not in shown
        assert "701020304" not in shown
