"""The receipt examples and the page on receipts, as they are, with receipts from a sandbox."""

import ast
import asyncio
import contextlib
import importlib.util
import inspect
import logging
import re
import sys
from pathlib import Path

import httpx
import pytest
from line import sms

from orange_sms_async import Client, ClientCredentials, OutboundMessage, Priority, Withheld
from orange_sms_async.cli.serving import address, bind, serving
from orange_sms_async.sandbox import Sandbox

pytestmark = pytest.mark.real_time  # two servers that talk to each other

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "receipts.md"
SECRET = "made-up-by-token-urlsafe"


def loaded(name):
    """Import an example by its file; Django finds the addresses it serves by its name."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def as_it_was():
    """Litestar sets up the logging of the whole process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # where the page puts its outbox
    monkeypatch.setenv("ORANGE_SMS_CLIENT_ID", "sandbox")
    monkeypatch.setenv("ORANGE_SMS_CLIENT_SECRET", "sandbox")
    monkeypatch.setenv("RECEIPTS_SECRET", SECRET)
    monkeypatch.setenv("ORANGE_SMS_SUPPRESSION_KEY", SECRET)


@pytest.fixture
def serve(monkeypatch):
    """Serve an app that a sandbox posts receipts to; yield a client of the app, and the sandbox."""

    @contextlib.asynccontextmanager
    async def serve(app, prefix="/receipts"):
        listener = bind("127.0.0.1", 0)
        url = f"{address(listener)}{prefix}/{SECRET}"
        sandbox = Sandbox(rate=None, receipt_url=url, receipt_delay=0.05)
        async with serving(sandbox, bind("127.0.0.1", 0)) as orange:
            monkeypatch.setenv("ORANGE_SMS_BASE_URL", orange)
            async with (
                serving(app, listener) as web,
                httpx.AsyncClient(base_url=web, trust_env=False) as client,
            ):
                yield client, sandbox

    return serve


async def posted(sandbox, count):
    """Wait until so many receipts were answered; return the answers."""
    async with asyncio.timeout(10):
        while len(sandbox.receipts) < count:  # noqa: ASYNC110 -- the sandbox tells nobody
            await asyncio.sleep(0.01)
    return [receipt.answer for receipt in sandbox.receipts]


async def test_fastapi(serve):
    """
    A code is sent, and the page hears whether the phone has it.
    """
    async with serve(loaded("receipts_fastapi").app) as (web, sandbox):
        shown = []
        for number in ("+2250700000001", "+2250700000099", "+2250700000097"):
            sent = await web.post("/codes", json={"to": number})
            shown.append((await web.get(f"/codes/{sent.json()['resource_id']}")).json())

    assert [
        {"status": "DeliveredToTerminal", "delivered": True},
        {"status": "DeliveryImpossible", "delivered": False},
        {"status": "DeliveredToTerminal", "delivered": True},
    ] == shown
    assert 3 == len(sandbox.sent)
    assert sandbox.sent[0].text.split()[3].strip(",").isdigit()


@pytest.mark.parametrize(
    ("example", "app"),
    [
        ("receipts_starlette", "app"),
        ("receipts_litestar", "app"),
        ("receipts_django", "application"),
    ],
)
async def test_other_frameworks(serve, example, app):
    """
    Receipts arrive at the secret address, and what they say can be asked for.
    """
    module = loaded(example)
    async with serve(getattr(module, app)) as (web, sandbox):
        credentials = ClientCredentials.from_header(sandbox.authorization)
        async with Client(credentials, transport=sandbox.transport) as client:
            sent = await client.send(sms())
            await posted(sandbox, 1)
        shown = await web.get(f"/deliveries/{sent.resource_id}")
        guessed = await web.post("/receipts/guess", content=b"{}")
        asked = await web.get(f"/receipts/{SECRET}")

    assert (200, ["DeliveredToTerminal"]) == (shown.status_code, shown.json())
    assert (404, b"") == (guessed.status_code, guessed.content)
    assert 405 == asked.status_code
    assert 200 == sandbox.receipts[0].answer


def written(name):
    """All that is on disk of an outbox."""
    return b"".join(path.read_bytes() for path in Path().glob(f"{name}*"))


async def test_who_answers_stop_is_left_alone(serve):
    """
    Codes still come, START undoes it, and nobody can read from the file who it was.
    """
    example = {}

    async def app(scope, receive, send):
        if not example:  # only now is it known where Orange is
            example.update(vars(loaded("stop_replies")))
        await example["app"](scope, receive, send)

    number = "+2250700000001"
    async with serve(app) as (_, sandbox):
        replies = [await sandbox.reply(number, text) for text in ("Arrêt !", "STOP it now", "stop")]
        queue, file = example["queue"], written("sms.db")
        with pytest.raises(Withheld):
            await queue.submit(OutboundMessage(number, "Soldes !"))
        await queue.send(OutboundMessage(number, "1234"), priority=Priority.URGENT)
        await sandbox.reply(number, "Start")
        await queue.send(OutboundMessage(number, "Soldes !"))

    assert [200] * 3 == [reply.answer for reply in replies]
    assert ["1234", "Soldes !"] == [sent.text for sent in sandbox.sent]
    assert number[1:].encode() not in file


async def run_blocks(namespace):
    """Run all Python of the page, in order, as one program."""
    for block in re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        code = compile(block, PAGE.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, namespace)
        if inspect.isawaitable(result):
            await result


async def test_the_page_on_receipts(serve):
    """
    Its endpoint takes receipts, and its function waits for them.
    """
    page = {}
    await run_blocks(page)
    async with serve(page["app"]) as (_, sandbox):
        following = asyncio.create_task(page["follow"]())
        async with Client.from_env() as client:
            said = [
                await page["send_and_wait"](client, sms()),
                await page["send_and_wait"](client, OutboundMessage("+2250700000099", "Bonjour")),
            ]
        following.cancel()

    assert ["it is on the phone", "Orange says DeliveryImpossible"] == said
    assert [200, 200] == await posted(sandbox, 2)


def is_there(name):
    return Path(name).exists()


async def test_the_shop_of_the_page(serve):
    """
    It asks by its own reference, and its receipts are in its outbox.
    """
    page = {}

    async def shop(scope, receive, send):
        if not page:  # only now is it known where Orange is
            await run_blocks(page)
        await page["shop"](scope, receive, send)

    async with serve(shop) as (web, _):
        await web.post("/orders/4711/notice", params={"to": "+2250700000001"})
        shown = (await web.get("/orders/4711/notice")).json()

    assert "DeliveredToTerminal" == shown
    assert is_there("outbox.db")


async def test_the_receivers_of_the_page(serve):
    """
    Each of the other receivers on it can be served alone; the first keeps what arrives.
    """
    page = {}
    await run_blocks(page)
    made = page["ReceiptReceiver"](page["book"].add, secret=SECRET, store=page["table"])
    async with serve(made) as (_, sandbox):
        async with Client.from_env() as client:
            sent = await client.send(sms())
            await posted(sandbox, 1)

    assert [(sent.resource_id, "DeliveredToTerminal")] == [*page["table"].rows]


def test_the_page_names_the_examples():
    """
    What it links to is there.
    """
    linked = re.findall(r"\]\((\.\./[^)]+)\)", PAGE.read_text())

    assert 4 == len(linked)
    assert all((PAGE.parent / link).exists() for link in linked)
