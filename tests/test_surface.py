"""What a user can import, and who imports whom."""

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import orange_sms_async

PACKAGE = Path(orange_sms_async.__file__).parent

# Imports go up this list only; within a line they make no circle.
LAYERS = [
    "errors messages countries segments account receipts outcomes pacing clock _served",
    "events",
    "_wire engines",
    "auth outbox",
    "client receiver",
    "sendqueue",
    "__init__ sandbox",
    "cli",
]
TOP = {"", "__version__", *orange_sms_async.__all__}
LAYER = {name: level for level, names in enumerate(LAYERS) for name in names.split()}


def imported_by(path):
    """Name the modules of ours, one level deep, that a file imports anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            continue
        for module in modules:
            root, _, rest = module.partition(".")
            if root == "orange_sms_async":
                name = rest.partition(".")[0]
                yield "__init__" if name in TOP else name


def module_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


MODULES = sorted(PACKAGE.rglob("*.py"))


def test_all():
    """
    The names a user imports from the top, in alphabetical order and all of them there.
    """
    names = """
        AccessDenied AuthenticationFailed Client ClientCredentials ConnectionFailed Contract
        ContractRefused Country DeliveryReceipt DeliveryStatus InboundMessage InvalidMessage
        InvalidReceipt MessageExpired MessageWithdrawn NotSent OrangeSMSError OutboundMessage
        OutboxUnusable Outcome OutcomeUnknown Pacer Priority PurchaseOrder QueueClosed QueueFull
        QueueStatistics ReceiptBook ReceiptReceiver Refused RequestRejected ResourceId SendQueue
        SendReport SentMessage ServiceUnavailable SqliteOutbox State Throttled TokenExpired
        UsageStatistics count_segments decode_inbound decode_receipt events
    """

    assert names.split() == orange_sms_async.__all__
    assert all(hasattr(orange_sms_async, name) for name in orange_sms_async.__all__)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_layers(path):
    """
    A module imports its own layer and those above it; only commands import from the top.
    """
    imported = set(imported_by(path))

    assert imported | {module_of(path)} <= LAYER.keys()
    assert all(LAYER[name] <= LAYER[module_of(path)] for name in imported)


def test_no_circles():
    """
    However lazily a module is imported, none waits for itself.
    """
    graph = {}
    for path in MODULES:
        module = module_of(path)
        graph.setdefault(module, set()).update(set(imported_by(path)) - {module})

    assert [*TopologicalSorter(graph).static_order()]


def test_the_sandbox_stands_alone():
    """
    It is written from Orange's documentation, so that a misreading of ours makes a test fail.
    """
    files = [path for path in MODULES if module_of(path) == "sandbox"]

    assert files
    assert {"sandbox"} >= {name for path in files for name in imported_by(path)}


@pytest.mark.parametrize("library", ["httpx", "aiohttp"])
def test_one_module_speaks_to_an_http_library(library):
    """
    To change how requests are carried, or to add an engine, is to change one file.
    """
    # The demo of the command line lends its client a transport that passes by any proxy.
    files = [path for path in MODULES if module_of(path) not in {"sandbox", "cli"}]
    importing = re.compile(rf"^\s*(import|from) {library}\b", re.MULTILINE)

    speaking = [
        str(path.relative_to(PACKAGE)) for path in files if importing.search(path.read_text())
    ]

    assert [f"engines/{library}.py"] == speaking


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
    Who only sends needs no web server, no command line and no database.
    """
    extras = {
        "starlette",
        "uvicorn",
        "aiohttp",
        "typer",
        "rich",
        "sqlite3",
        "orange_sms_async.sandbox",
    }
    # httpx imports rich for its own command where that is installed; that is not ours to avoid.
    program = f"""
import sys, aiolimiter, anyio, attrs, cattrs, httpx
before = set(sys.modules)
import orange_sms_async
print(*({extras} & (set(sys.modules) - before)))
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
