"""A file that keeps the sandbox's state from one run to the next."""

import asyncio
import contextlib
import shutil
import sqlite3
import stat
import subprocess
import sys

import httpx
import pytest

from orange_sms_async.sandbox import ReceiptFaults, Sandbox
from orange_sms_async.sandbox.state_file import StateFileError, kept_in


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sandbox.db"


@pytest.fixture
def run(path, connect):
    """A run of a sandbox on the file, and a client of it."""

    @contextlib.asynccontextmanager
    async def run(path=path, **settings):
        endpoint = httpx.MockTransport(lambda _: httpx.Response(200))
        sandbox = Sandbox(
            rate=None, receipt_url="https://example.org", receipt_transport=endpoint, **settings
        )
        async with kept_in(path, sandbox):
            yield sandbox, await connect(sandbox, transport=sandbox.transport)
            await sandbox.aclose()

    return run


async def test_messages_come_back(run, send, control):
    """
    With their evidence and receipts, and numbers go on.
    """
    async with run() as (first, client):
        await send(client, "Ça va ? 👍", senderName="MonService")
        await asyncio.sleep(2)
        before = (await control("GET", f"messages/{first.sent[0].resource_id}", of=first)).json()
    async with run() as (second, client):
        after = (await control("GET", f"messages/{first.sent[0].resource_id}", of=second)).json()
        await send(client)
        numbers = [m.number for m in second.inbox.newest_first()]

    assert before == after
    assert "DeliveredToTerminal" == after["status"]
    assert first.sent[0] == second.sent[0]
    assert [2, 1] == numbers


async def test_the_account_and_the_counts_come_back(run, send):
    """
    What was bought, used, approved and counted.
    """
    async with run() as (first, client):
        await send(client, "a" * 200)
        await send(client, senderName="No")
        first.account.buy("CIV", 7)
        first.account.approve("Boutique")
        first.account.withdraw("MonService")
        counted = first.statistics()
        orders = (await client.get("/sms/admin/v1/purchaseorders")).json()
    async with run() as (second, client):
        restored = second.statistics()
        answers = [await send(client, senderName=name) for name in ("Boutique", "MonService")]
        orders_after = (await client.get("/sms/admin/v1/purchaseorders")).json()

    assert (counted.accepted, counted.units_used, counted.refused) == (1, 2, 1)
    assert counted.requests + 1 == restored.requests - 1
    assert 10_000_004 == second.account.contract("CIV").available_units
    assert [201, 400] == [answer.status_code for answer in answers]
    assert orders == orders_after


async def test_a_copy_of_a_moment_later_has_it(run, path, send, tmp_path):
    """
    What was acknowledged is on disk a quarter of a second later: whoever is killed then loses
    nothing.
    """
    copy = tmp_path / "copy.db"
    async with run() as (_, client):
        await send(client)
        await asyncio.sleep(0.3)
        for end in ("", "-wal"):
            shutil.copy(f"{path}{end}", f"{copy}{end}")
        async with run(copy) as (restored, _):
            texts = [sent.text for sent in restored.sent]

    assert ["Bonjour"] == texts


async def test_the_file_is_bounded(run, path, send):
    """
    It forgets what the sandbox forgets, and an emptied inbox is empty.
    """
    async with run(keep=3) as (sandbox, client):
        for number in range(8):
            await send(client, str(number))
            await asyncio.sleep(0.5)
    async with run(keep=2) as (sandbox, _):
        texts = [sent.text for sent in sandbox.sent]
        sandbox.clear()
    with contextlib.closing(sqlite3.connect(path)) as db:
        left = db.execute("SELECT count(*) FROM message").fetchone()

    assert ["6", "7"] == texts
    assert (0,) == left


async def test_the_file_is_its_owners(run, path):
    """
    It holds numbers and texts.
    """
    async with run():
        modes = {stat.S_IMODE(each.stat().st_mode) for each in path.parent.glob("sandbox.db*")}

    assert {0o600} == modes


async def test_no_token_is_kept(run, path, send):
    """
    Neither those that were issued nor those that came with messages.
    """
    async with run() as (sandbox, client):
        await send(client)
        token = client.headers["Authorization"].removeprefix("Bearer ")

    assert b"Bearer" in path.read_bytes()
    assert token.encode() not in path.read_bytes()
    assert sandbox.authorization.encode() not in path.read_bytes()


async def test_a_file_in_use(run, path):
    """
    Whoever comes second is told so.
    """
    async with run():
        with pytest.raises(StateFileError, match="in use by another sandbox"):
            async with run():
                pass
    async with run():
        pass


@pytest.mark.real_time
async def test_a_file_in_use_stays_so_when_it_is_asked_for_again(run, path):
    """
    Who is refused in the same process does not open it to another one.
    """
    other = f"import sqlite3; sqlite3.connect({str(path)!r}, 0).execute('BEGIN EXCLUSIVE')"
    async with run():
        with pytest.raises(StateFileError):
            async with run():
                pass
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", other), stderr=subprocess.PIPE
        )
        complaints = (await process.communicate())[1]

    assert b"database is locked" in complaints


@pytest.mark.parametrize("content", [b"to,text\n+2250701020304,Bonjour\n" * 40, b"\x00" * 4096])
async def test_a_file_of_somebody_else(run, path, content):
    """
    It is left as it is.
    """
    path.write_bytes(content)
    with pytest.raises(StateFileError, match="not a sandbox's file"):
        async with run():
            pass

    assert content == path.read_bytes()


async def test_a_database_of_somebody_else(run, path):
    """
    A database is not enough.
    """
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE mine (x)")
    content = path.read_bytes()
    with pytest.raises(StateFileError, match="belongs to another program"):
        async with run():
            pass

    assert content == path.read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE message SET value = '{}'",
        "UPDATE state SET value = 'nul'",
        "UPDATE state SET value = json_set(value, '$.account.contracts', 7)",
    ],
)
async def test_a_damaged_file(run, path, send, damage):
    """
    One line, which shows nothing of what is kept.
    """
    async with run() as (_, client):
        await send(client, "secret")
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute(damage)
        db.commit()
    with pytest.raises(StateFileError) as error:
        async with run():
            pass

    assert str(error.value).startswith(f"{path}: ")
    assert "secret" not in str(error.value)
    assert error.value.__cause__ is None


async def test_another_version(run, path):
    """
    A later one is not guessed at.
    """
    async with run():
        pass
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 2")
    with pytest.raises(StateFileError, match="another version"):
        async with run():
            pass


async def test_a_folder_that_is_not_there(run, tmp_path):
    """
    The system's own words.
    """
    with pytest.raises(StateFileError, match="No such file or directory"):
        async with run(tmp_path / "nowhere" / "sandbox.db"):
            pass


async def test_an_empty_file_will_do(run, path, send):
    """
    As `mktemp` makes one.
    """
    path.touch()
    async with run() as (_, client):
        await send(client)
    async with run() as (sandbox, _):
        texts = [sent.text for sent in sandbox.sent]

    assert ["Bonjour"] == texts


async def test_a_disk_that_is_full_for_a_while(run, send, caplog):
    """
    It is said once, and nothing is lost when there is room again.
    """
    async with run() as (sandbox, client):
        disk = sandbox.inbox.on_change.__self__._connection
        disk.execute("PRAGMA query_only = ON")
        for text in ("Un", "Deux"):
            await send(client, text)
            await asyncio.sleep(0.5)
        disk.execute("PRAGMA query_only = OFF")
        await send(client, "Trois")
        await asyncio.sleep(0.5)
    async with run() as (restored, _):
        texts = [sent.text for sent in restored.sent]

    assert ["Un", "Deux", "Trois"] == texts
    [record] = caplog.records
    assert ("WARNING", "sandbox_not_kept") == (record.levelname, record.event)
    assert "it will be tried again" in caplog.text


async def test_what_no_file_can_hold_is_said(run, send, caplog):
    """
    Once, and without its words; nothing else is lost when it is forgotten.
    """
    async with run(keep=1) as (sandbox, client):
        sandbox.receipt_faults = ReceiptFaults(status="\ud800")
        await send(client, "Un")
        await asyncio.sleep(2)
        sandbox.behave()
        await send(client, "Deux")
        await asyncio.sleep(2)
    async with run() as (restored, _):
        texts = [sent.text for sent in restored.sent]

    assert ["Deux"] == texts
    assert ["cannot be kept (UnicodeEncodeError); it will be tried again"] == [
        record.getMessage().partition(": ")[2] for record in caplog.records
    ]


async def test_what_cannot_be_kept_at_the_end_is_said(run, send):
    """
    Whoever stops the sandbox hears that the file is not up to date.
    """
    running = run()
    sandbox, client = await running.__aenter__()
    sandbox.inbox.on_change.__self__._connection.execute("PRAGMA query_only = ON")
    await send(client)

    with pytest.raises(StateFileError, match="readonly"):
        await running.__aexit__(None, None, None)
