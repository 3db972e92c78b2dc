"""Every block of code on every page does what the page says, against a sandbox."""

import ast
import asyncio
import contextlib
import inspect
import socket
from typing import Any

import pytest
from cli.served import served_sandbox
from pages.terminal import TYPED_HERE, Terminal, typed
from pages.written import DOCS, FRENCH, PAGES, blocks, name

from orange_sms_async import Client, OutboundMessage, SendQueue
from orange_sms_async.outbox.sqlite import SqliteOutbox

SECRET = "made-up-by-token-urlsafe"

# Python of these pages needs a scene of its own, which other tests make.
ELSEWHERE = {
    "docs/fleet.md": "tests/pages/test_fleet_page.py",
    "docs/receipts.md": "tests/test_receipt_examples.py",
    "docs/sandbox.md": "tests/test_pytest_plugin.py, tests/sandbox/test_sandbox_docs.py",
    "docs/web.md": "tests/pages/test_web.py",
}
# The language `sh` says that a block is not run: it installs, needs an account, or is for a shell
# of yours that goes on. What the lines of such blocks may begin with:
NOT_RUN = (
    "make ",
    "pip install ",
    "export ORANGE_SMS_",
    "unset ORANGE_SMS_BASE_URL",
    "python first.py +225…",  # a real SMS, to a real phone
    "uvicorn ",
    "orange-sms demo ",  # `make demo` runs it
    "orange-sms outbox move ",
)
# Settings of other programs, which nothing here can run.
OTHERS = {"nginx", "", "csv", "toml", "json", "sql"}


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def terminal(tmp_path, port, monkeypatch, request):
    """Be in an empty folder, with the environment that the sandbox says to set."""
    receipts = f"http://127.0.0.1:{port}/{SECRET}"
    options = ("--rate", "off", "--receipts", receipts, "--receipt-delay", "0.05")
    with served_sandbox(*options) as sandbox:
        secrets = {"ORANGE_SMS_RECEIPTS_SECRET": SECRET, "RECEIPTS_SECRET": SECRET}
        secrets["ORANGE_SMS_SUPPRESSION_KEY"] = SECRET
        settings = sandbox.environment | secrets
        if "fleet" in request.node.name:
            settings["ORANGE_SMS_OUTBOX"] = request.getfixturevalue("empty")
        for variable, value in settings.items():
            monkeypatch.setenv(variable, value)
        monkeypatch.chdir(tmp_path)
        yield Terminal(tmp_path, settings, port)


def in_order(page, terminal):
    """Do what a reader does from the page's first line to its last."""
    namespace, code_of = {"__name__": "__main__"}, blocks(page)
    for block in code_of:
        if block.title:
            (terminal.folder / block.title).write_text(block.code, "utf-8")
        elif block.language == "python" and name(page) not in ELSEWHERE:
            run_python(block.code, namespace)
        elif block.language == "console":
            for line in typed(block.code):
                if line.words[0] in TYPED_HERE or line.words[0] == "echo":
                    terminal.type(line)
    assert terminal.code == 0, "the page's last command failed, and the page does not say so"


def run_python(code, namespace):
    """Run a block, and its coroutine functions with the client, queue, … that they ask for."""
    before = dict(namespace)
    compiled = compile(code, "block", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(compiled, namespace)
    if inspect.isawaitable(result):
        asyncio.run(wait_for(result))
    for thing in [thing for key, thing in namespace.items() if before.get(key) is not thing]:
        if inspect.iscoroutinefunction(thing) and "asyncio.run(" not in code:
            asyncio.run(called(thing))


async def wait_for(awaitable):
    return await awaitable


async def called(function):
    wanted = inspect.signature(function).parameters
    async with contextlib.AsyncExitStack() as stack:
        scene: dict[str, Any] = {
            "message": OutboundMessage("+2250701020304", "Bonjour"),
            "messages": [OutboundMessage(f"+22507010203{n:02}", "Bonjour") for n in range(3)],
            "resource_id": "81e4296d-0000",
        }
        if {"client", "queue"} & set(wanted):
            scene["client"] = await stack.enter_async_context(Client.from_env(rate=1000))
        if "queue" in wanted:
            queue = SendQueue(scene["client"], outbox=SqliteOutbox("outbox.db"))
            scene["queue"] = await stack.enter_async_context(queue)
        if wanted.keys() <= scene.keys():
            await function(**{key: scene[key] for key in wanted})


@pytest.mark.real_time
@pytest.mark.parametrize("page", [page for page in PAGES if page not in FRENCH], ids=name)
def test_page(page, terminal):
    """
    Each Python block runs, each command ends well and prints what the page shows.

    A French page has the code of its English one, to which tests/pages/test_said.py holds it.
    """
    in_order(page, terminal)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_what_is_not_run_says_so(page):
    """
    Only blocks in `sh` and other programs' settings are not run, and they hold nothing else.
    """
    for block in blocks(page):
        if block.language == "sh":
            assert all(line.startswith(NOT_RUN) for line in block.code.splitlines())
        else:
            assert block.language in {"python", "console", *OTHERS}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_what_is_saved_is_run(page):
    """
    A page that gives a Python file also types its name, or a test of its own runs it.
    """
    saved = {block.title for block in blocks(page) if block.title.endswith(".py")}
    lines = [
        line for block in blocks(page) if block.language == "console" for line in typed(block.code)
    ]

    words = {word for line in lines for word in line.words}
    words |= {f"{word.partition(':')[0]}.py" for word in words if ":" in word}  # module:name

    assert name(FRENCH.get(page, page)) in ELSEWHERE or saved <= words


def test_other_commands_are_of_the_sandbox_page():
    """
    It shows its API by curl, and tests of its own read these lines.
    """
    others = {
        name(page)
        for page in PAGES
        for block in blocks(page)
        if block.language == "console"
        for line in typed(block.code)
        if line.words[0] not in {*TYPED_HERE, "echo"}
    }

    assert {name(DOCS / "sandbox.md")} == others
