"""The list of people who are to be left alone: kept as hashes, carried along as a file."""

import io
import shutil

import pytest
from line import Line, named

from orange_sms_async import Priority, SendQueue, SqliteOutbox, Withheld
from orange_sms_async.gates import Suppression

KEY, NUMBER = "a-key-that-tests-made-up", "+2250701020304"


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def outbox(request, path):
    if request.param == "postgres":
        from fleet_store import Fleet

        request.applymarker(pytest.mark.real_time)
        return Fleet(request.getfixturevalue("postgres")).open()
    return SqliteOutbox(path) if request.param == "sqlite" else None


@pytest.mark.real_time
class TestEverywhere:
    async def test_a_number_on_the_list_gets_nothing(self, outbox):
        """
        Until it is taken off; another's message goes, and an exempt lane's.
        """
        alone = Suppression(KEY, exempt=[Priority.URGENT])
        async with SendQueue(Line(), outbox=outbox, gate=alone) as queue:
            await alone.add(queue.notes, f"tel:{NUMBER}")
            with pytest.raises(Withheld) as withheld:
                await queue.submit(named("a"))
            await queue.send(named("b", "+2250700000001"))
            await queue.send(named("c"), priority=Priority.URGENT)
            await alone.remove(queue.notes, NUMBER)
            await queue.send(named("a"))

        assert "suppression" == withheld.value.rule

    async def test_one_that_waits_is_withheld_too(self, outbox):
        """
        Who asked for it after the message was submitted.
        """
        alone = Suppression(KEY)
        async with SendQueue(Line(), outbox=outbox, gate=alone) as queue:
            futures = [await queue.submit(named(f"{n}", "+2250700000001")) for n in range(5)]
            await alone.add(queue.notes, "+2250700000001")
            with pytest.raises(Withheld):
                await futures[-1]

    async def test_a_list_is_carried_along(self, outbox):
        """
        As hashes, which say nothing, into another outbox; numbers of a spreadsheet, too.
        """
        alone, exported = Suppression(KEY), io.StringIO()
        async with SendQueue(Line(), outbox=outbox, gate=alone) as queue:
            many = await alone.import_csv(
                queue.notes,
                io.StringIO(f'\ufeffName;Number\n"A;wa";{NUMBER}\n;\nBa;+221770000001\n'),
            )
            await alone.export_csv(queue.notes, exported)
        async with SendQueue(Line(), gate=alone) as queue:
            again = await alone.import_csv(queue.notes, io.StringIO(exported.getvalue()))
            with pytest.raises(Withheld):
                await queue.submit(named("a"))

        assert 2 == many == again
        assert "+2" not in exported.getvalue()
        assert NUMBER[-6:] not in exported.getvalue()


async def test_the_file_shows_no_number(path, tmp_path):
    """
    Neither that of the list, nor one that is counted; with another key it is another list.
    """
    alone = Suppression(KEY)
    async with SendQueue(None, outbox=SqliteOutbox(path), gate=alone) as queue:
        await alone.add(queue.notes, NUMBER)
        for beside in path.parent.glob("outbox.db*"):
            shutil.copy(beside, f"{beside}.copy")
        with pytest.raises(Withheld):
            await queue.submit(named("a"))
    async with SendQueue(None, outbox=SqliteOutbox(path), gate=Suppression(KEY[::-1])) as queue:
        await queue.submit(named("b", "+2250700000001"))
        await queue.submit(named("a"))

    assert all(b"701020304" not in copy.read_bytes() for copy in path.parent.glob("*.copy"))


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("name\nAwa\n", "line 1: names no column to, number or hash"),
        ("to\n+2250700000001\n07 01 02 03 04\n", "line 3: write a number as"),
        ("hash\n123\n", "line 2: a hash has 32"),
        ("", "line 1"),
    ],
)
async def test_a_file_that_is_wrong_changes_nothing(file, said):
    """
    The line is named, and not what stands in it.
    """
    alone = Suppression(KEY)
    async with SendQueue(Line(), gate=alone) as queue:
        with pytest.raises(ValueError, match=said) as wrong:
            await alone.import_csv(queue.notes, io.StringIO(file))

        assert "07 01" not in str(wrong.value)
        assert [] == await queue.notes.members("suppression")


def test_a_key_that_is_too_short():
    with pytest.raises(ValueError, match="key: at least 16 bytes"):
        Suppression("secret")
