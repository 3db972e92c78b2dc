"""What a user can import, and who imports whom."""

import ast
import re
import subprocess
import sys
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import typer

import orange_sms_async
from orange_sms_async.cli.commands import app

PACKAGE = Path(orange_sms_async.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

# Imports go up this list only; within a line they make no circle. A room stands for all in it.
LAYERS = [
    "errors countries segments account clock _served messages receipts outcomes",
    "pacing remembered deadlines events _wire engines gates",
    "auth outbox",
    "client receiver",
    "sendqueue",
    "telemetry",
    "sandbox",
    "orange_sms_async",
    "cli",
]
LAYER = {name: level for level, names in enumerate(LAYERS) for name in names.split()}


def module_of(path):
    """Name a file's module in full; a package is its `__init__`."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


def imported_by(path):
    """Name in full the modules of ours that a file imports anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [name if name in MODULES else node.module for name in whole]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            continue
        yield from (name for name in modules if name.partition(".")[0] == PACKAGE.name)


def room_of(module):
    """The room that a module stands in: the first name below the package, or the package."""
    return module.partition(".")[2].partition(".")[0] or module


def test_all():
    """
    The names a user imports from the top, in alphabetical order and all of them there.
    """
    names = """
        AccessDenied AuthenticationFailed Client ClientCredentials ConnectionFailed Contract
        ContractRefused Country DeliveryReceipt DeliveryStatus InboundMessage InvalidMessage
        InvalidReceipt MessageExpired MessageWithdrawn NotSent OrangeSMSError OutboundMessage
        OutboxUnusable Outcome OutcomeUnknown Pacer PostgresOutbox Priority PurchaseOrder
        QueueClosed QueueFull QueueStatistics ReceiptBook ReceiptReceiver Refused RequestRejected
        ResourceId SendQueue SendReport SentMessage ServiceUnavailable SqliteOutbox State Throttled
        TokenExpired UsageStatistics Withheld count_segments decode_inbound decode_receipt events
        gates
    """

    assert names.split() == orange_sms_async.__all__
    assert all(hasattr(orange_sms_async, name) for name in orange_sms_async.__all__)


@pytest.mark.parametrize("module", MODULES)
def test_layers(module):
    """
    A module imports its own layer and those above it; only commands import from the top.
    """
    rooms = set(map(room_of, imported_by(MODULES[module])))

    assert rooms | {room_of(module)} <= LAYER.keys()
    assert all(LAYER[room] <= LAYER[room_of(module)] for room in rooms - {room_of(module)})


def test_no_circles():
    """
    However lazily a module is imported, and be it for its types alone, none waits for itself.
    """
    graph = {module: set(imported_by(path)) - {module} for module, path in MODULES.items()}

    assert [*TopologicalSorter(graph).static_order()]


def test_the_sandbox_stands_alone():
    """
    It is written from Orange's documentation, so that a misreading of ours makes a test fail.
    """
    sandbox = [path for module, path in MODULES.items() if room_of(module) == "sandbox"]

    assert sandbox
    assert {"sandbox"} >= {room_of(name) for path in sandbox for name in imported_by(path)}


def test_one_name_for_one_thing():
    """
    A command's file alone may bear the name of what the command is about.
    """
    stems = Counter(path.stem for path in FILES if not path.stem.startswith("__"))
    packages = Counter(path.parent.name for path in FILES if path.stem == "__init__")
    commands = set(vars(typer.main.get_command(app))["commands"])

    assert not {name for name, count in stems.items() if count > 1} - commands
    assert not (stems.keys() & packages.keys()) - commands - {"sandbox"}


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_rooms_can_be_read(path):
    """
    A file opens with what it is for, and neither it nor a class in it is too long to be read.
    """
    tree = ast.parse(path.read_text())
    methods = [
        sum(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in ast.walk(made))
        for made in ast.walk(tree)
        if isinstance(made, ast.ClassDef)
    ]

    assert ast.get_docstring(tree)
    assert 400 >= len(path.read_text().splitlines())
    assert 40 >= max(methods, default=0)


@pytest.mark.parametrize("library", ["httpx", "aiohttp"])
def test_one_module_speaks_to_an_http_library(library):
    """
    To change how requests are carried, or to add an engine, is to change one file.
    """
    # The demo of the command line lends its client a transport that passes by any proxy.
    others = {"sandbox", "cli"}
    importing = re.compile(rf"^\s*(import|from) {library}\b", re.MULTILINE)

    speaking = {name for name, path in MODULES.items() if importing.search(path.read_text())}

    assert {f"engines.{library}"} == {
        name.partition(".")[2] for name in speaking if room_of(name) not in others
    }


def test_what_needs_no_http_library_imports_none():
    """
    Who keeps messages or reads receipts waits for none.
    """
    program = """
import sys
from orange_sms_async import ClientCredentials, OutboundMessage, SendQueue, SqliteOutbox
from orange_sms_async import Pacer, ReceiptBook, ReceiptReceiver, decode_receipt
print(*{"httpx", "httpx2", "aiohttp"} & sys.modules.keys())
"""

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert b"" == done.stdout.strip()


def test_no_extra_is_imported():
    """
    Who names one thing of ours loads what that needs, and an outbox needs no HTTP.
    """
    extras = {
        "httpx",
        "cattrs",
        "asyncio",
        "starlette",
        "uvicorn",
        "aiohttp",
        "typer",
        "rich",
        "opentelemetry",
        "prometheus_client",
        "sqlite3",
        "orange_sms_async.sandbox",
    }
    program = f"""
import sys
before = set(sys.modules)
import orange_sms_async
print(*({extras} & (set(sys.modules) - before)))
orange_sms_async.SqliteOutbox
print(*({{"httpx", "cattrs", "aiohttp"}} & set(sys.modules)))
"""

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert b"" == done.stdout.strip()


def test_the_plugin_is_light():
    """
    pytest imports it in every run of everybody who has us installed: it brings nothing along.
    """
    program = """
import sys, pytest
before = set(sys.modules)
import _orange_sms_pytest
print(*(set(sys.modules) - before))
"""

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert b"_orange_sms_pytest" == done.stdout.strip()


def test_types_are_delivered():
    """
    Type checkers read ours.
    """
    assert (PACKAGE / "py.typed").exists()


def test_names_are_found_and_no_others():
    """
    As `dir` shows them, and an unknown one is said as Python says it.
    """
    assert {*orange_sms_async.__all__} <= {*dir(orange_sms_async)}
    with pytest.raises(AttributeError, match="has no attribute 'Sender'"):
        _ = orange_sms_async.Sender
