"""What every test may ask for."""

import asyncio
import uuid
from collections.abc import Callable, Mapping

import pytest
from line import Line

from orange_sms_async import SendQueue, pacing, remembered
from orange_sms_async.clock import JumpingLoop
from orange_sms_async.outbox.sqlite import SqliteOutbox

pytest_plugins = ["pytester"]

# They simulate hours, or run whole programs and pages. To measure coverage there would more than
# double their time, and other tests run the same lines. Single tests have the mark `no_cover`.
UNMEASURED = """
    test_alerts test_blocks test_campaign test_fleet_page test_pacing_busy test_pacing_page
    test_page test_page_for_all test_page_panels test_page_readers test_page_requests
    test_receipt_examples test_receiver_anything test_site test_staged_troubles test_terminals
    test_torture test_torture_fleet test_web
"""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "real_time: runs on a loop whose clock does not jump")
    config.addinivalue_line("markers", "alone: keeps time to milliseconds, beside nothing busy")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.stem in UNMEASURED.split():
            item.add_marker("no_cover")


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.get_closest_marker("real_time"):
        return {"real": asyncio.new_event_loop}
    return {"jumping": JumpingLoop}


@pytest.fixture(autouse=True)
def _account_of_its_own():
    """What another test's account was paced at, and when it last sent, is of no account here."""
    pacing._of_accounts.clear()
    remembered._accounts.clear()


@pytest.fixture(autouse=True)
def _as_measured(request, monkeypatch):
    """A test that is not measured starts processes that are not."""
    if request.node.get_closest_marker("no_cover"):
        monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL with a database "migrated", which has the newest tables."""
    from fleet_store import served_fleet

    with served_fleet() as server:
        yield server


@pytest.fixture
def empty(postgres):
    """A database without an outbox."""
    from fleet_store import apart, command

    name = f"of_a_test_{uuid.uuid4().hex}"
    apart(command(postgres.dsn(), f"CREATE DATABASE {name}"))
    return postgres.dsn(name)


@pytest.fixture
def line():
    return Line()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "outbox.db"


@pytest.fixture
def outbox(path):
    """The outbox on that file, for a test that asks it what a queue does not tell."""
    return SqliteOutbox(path)


@pytest.fixture
def opened(line, path):
    """A queue on the file, as often as the test opens one."""

    def queue(rate: float | None = None, **settings):
        line_ = line if rate is None else line.paced(rate)
        return SendQueue(line_, outbox=SqliteOutbox(path), **settings)

    return queue
