"""The programs of docs/fleet.md, as they are: what each submits, its sender sends."""

import subprocess
import sys
import time

import asyncpg
import httpx
import pytest
from cli.served import environment, served_sandbox
from fleet_store import apart, command
from pages.server import uvicorn
from pages.written import DOCS, blocks

from orange_sms_async.outbox.postgres import migrating

BLOCKS = blocks(DOCS / "fleet.md")
FILES = {block.title: block.code for block in BLOCKS if block.title}
ORDERED = {
    "orders.py": ("order-4711", "Commande 4711 reçue."),
    "shop.py": ("order-4712", "Commande 4712 reçue."),
    "tasks.py": ("ready-4713", "Commande 4713 prête."),
}


@pytest.fixture
def sandbox(empty):
    """A sandbox, and in its environment an outbox and an application's own table."""
    apart(migrating.migrate(empty))
    apart(command(empty, "CREATE TABLE orders (number integer)"))
    with served_sandbox("--rate", "off") as sandbox:
        sandbox.environment["ORANGE_SMS_OUTBOX"] = empty
        yield sandbox


@pytest.fixture
def folder(tmp_path):
    for name, code in FILES.items():
        (tmp_path / name).write_text(code, "utf-8")
    return tmp_path


def ordered(name, folder, sandbox):
    """Have a program of the page take its order."""
    if name == "orders.py":
        served = uvicorn("orders:app", folder, sandbox.environment)
        with served as url, httpx.Client(trust_env=False) as client:
            query = {"number": "4711", "to": "+2250701020304"}
            assert {"sms": "queued"} == client.post(f"{url}/orders", params=query).json()
    else:
        settings = environment(**sandbox.environment)
        subprocess.run([sys.executable, name], cwd=folder, env=settings, check=True)


@pytest.mark.parametrize("name", ORDERED)
def test_an_order_and_its_sms(name, folder, sandbox):
    """
    Both are there, and the sender of the page sends the SMS.
    """
    ordered(name, folder, sandbox)
    sender = subprocess.Popen(
        [sys.executable, "sender.py"], cwd=folder, env=environment(**sandbox.environment)
    )
    try:
        until = time.monotonic() + 20
        while not (sent := sandbox.shown("sent")):
            assert time.monotonic() < until
            time.sleep(0.05)  # another process sends it
    finally:
        sender.terminate()
        sender.wait()

    assert [ORDERED[name][1]] == [each["text"] for each in sent]


@pytest.mark.real_time
async def test_its_sql(sandbox):
    """
    Each statement is carried out in its order, with the rights that the page gives.
    """
    dsn = sandbox.environment["ORANGE_SMS_OUTBOX"]
    db = await asyncpg.connect(dsn)
    try:
        for block in BLOCKS:
            if block.language == "sql":
                for statement in filter(str.strip, block.code.split(";\n")):
                    await db.fetch(statement)
        shop = await asyncpg.connect(dsn.replace("postgres@", "shop@"))
        again = next(block.code for block in BLOCKS if "order-4714" in block.code)
        assert [("queued",)] == [tuple(row) for row in await shop.fetch(again)]
        await shop.close()
    finally:
        await db.execute("ALTER SYSTEM RESET ALL")
        for role in ("shop", "sms"):
            await db.execute(f"DROP OWNED BY {role}")
            await db.execute(f"DROP ROLE {role}")
        await db.close()


def test_every_file_is_run():
    assert {*ORDERED, "sender.py"} == FILES.keys()
