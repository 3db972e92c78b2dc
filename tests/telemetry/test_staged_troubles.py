"""Five troubles, staged with real parts: the alert that fires, and what the dashboard shows."""

import asyncio
import logging
import selectors
import threading
import time
from functools import partial

import pytest
from line import named
from postgres_server import served_postgres
from telemetry.scraped import needs_promtool

from orange_sms_async import (
    Client,
    ClientCredentials,
    PostgresOutbox,
    Priority,
    ReceiptReceiver,
    SendQueue,
    SqliteOutbox,
)
from orange_sms_async.cli.serving import address, bind, serving
from orange_sms_async.outbox.postgres.migrating import migrate
from orange_sms_async.sandbox import ReceiptFaults

pytestmark = [pytest.mark.real_time, needs_promtool]

EVERY = 0.05  # seconds here for fifteen of Prometheus's
ABIDJAN, DAKAR = "+2250701020304", "+221771234567"


@pytest.fixture
def orange_sandbox_settings():
    return {"rate": None}


@pytest.fixture
def client(orange_sandbox, orange_sandbox_url):
    """Clients of the sandbox, over HTTP."""
    credentials = ClientCredentials.from_header(orange_sandbox.authorization)
    return partial(Client, credentials, base_url=orange_sandbox_url)


@pytest.mark.parametrize("orange_sandbox_settings", [{"rate": 10.0}])
async def test_throttled_by_orange(client, scraping):
    """
    Something else sends for the account, and of our rate a part is left.
    """
    async with client(rate=100.0) as sender:
        queue = SendQueue(sender, capacity=500)
        scraped = scraping(queue)
        async with queue:
            for n in range(500):
                queue.submit_nowait(named(str(n)), priority=Priority.BULK)
            await scraped.during(300, every=EVERY)
            await queue.aclose(drain=False)

    assert "OrangeSmsThrottled" in scraped.firing()
    assert not {"OrangeSmsContractRefused", "OrangeSmsSenderBlocked"} & scraped.firing()
    throttled, guard = (scraped.shown("Throttled a second, and guard", n) for n in (0, 1))
    assert 0 < throttled["{}"]
    assert 0 < guard["{}"]


async def test_the_database_is_away(client, scraping, caplog):
    """
    PostgreSQL is killed while messages are sent, and back in the end.
    """
    caplog.set_level(logging.INFO, "orange_sms_async")
    with served_postgres() as server:
        await migrate(server.dsn(), rate=100.0)
        async with client(rate=100.0) as sender:
            queue = SendQueue(sender, outbox=PostgresOutbox(server.dsn()))
            scraped = scraping(queue)
            async with queue:
                await queue.send(named("a"))
                await asyncio.to_thread(server.stop, immediate=True)
                await scraped.during(300, every=EVERY)
                await asyncio.to_thread(server.start)
                await queue.send(named("b"))

    assert {"OrangeSmsDatabaseAway", "OrangeSmsNothingLeaves"} == scraped.firing()
    assert ['{reason="database"}'] == [
        reason for reason, value in scraped.shown("Why nothing leaves").items() if value
    ]
    logged = {(each.levelname, getattr(each, "event", "")) for each in caplog.records}
    assert {("WARNING", "database_away"), ("WARNING", "database_reached")} <= logged
    assert {("WARNING", "waiting"), ("INFO", "going_on")} <= logged


async def test_a_contract_expired(client, scraping, orange_sandbox):
    """
    Messages fail, one after the other.
    """
    async with client(rate=100.0) as sender:
        queue, numbers = SendQueue(sender), iter(range(1000))
        scraped = scraping(queue)
        async with queue:
            await scraped.during(300, lambda: queue.submit(named(str(next(numbers)))), every=EVERY)
            assert set() == scraped.firing()
            orange_sandbox.account.expire("CIV")
            await scraped.during(300, lambda: queue.submit(named(str(next(numbers)))), every=EVERY)

    assert {"OrangeSmsContractRefused"} == scraped.firing()
    assert '{result="ContractRefused"}' in scraped.shown("Requests a second, by result")


class TestReceipts:
    @pytest.fixture
    def listener(self):
        with bind("127.0.0.1", 0) as listener:
            yield listener

    @pytest.fixture
    def orange_sandbox_settings(self, listener):
        return {"rate": None, "receipt_url": address(listener), "receipt_delay": 0.0}

    async def test_those_of_one_country_are_lost(
        self, client, scraping, orange_sandbox, path, listener
    ):
        """
        The other country's go on. A scrape every half an hour, for the half of a day.
        """
        async with client(rate=1e5) as sender:
            queue = SendQueue(sender, outbox=SqliteOutbox(path))
            scraped, receiver = scraping(queue), ReceiptReceiver(bool, store=queue)
            async with queue, serving(receiver, listener):
                for half_hour in range(24):
                    for to in (ABIDJAN, DAKAR):
                        gone = half_hour >= 20 and to == DAKAR
                        orange_sandbox.receipt_faults = ReceiptFaults(lost=float(gone))
                        some = [named(f"{half_hour} {n} {to[:4]}", to) for n in range(30)]
                        if half_hour < 20:
                            some = some[:4]
                        await sent(queue, some)
                        if not gone:
                            await reported(queue, some)
                    scraped.scrape()

        assert {"OrangeSmsDeliveryBelowItsWeek"} == scraped.firing(step=1800)
        countries = scraped.ask('ALERTS{alertstate="firing"}', step=1800)
        assert ["SEN"] == [labels.split('country="')[1][:3] for labels in countries]
        shares = scraped.shown("Delivered share, by country", step=1800)
        assert {'{country="CIV"}': 1.0, '{country="SEN"}': 0.0} == pytest.approx(shares)


async def sent(queue, messages):
    await asyncio.gather(*[queue.send(message) for message in messages])


async def reported(queue, messages):
    await asyncio.gather(*[queue.delivered(message.reference, 10.0) for message in messages])


class Hurried(asyncio.SelectorEventLoop):
    """A loop whose minute is a second."""

    TIMES = 60.0

    def __init__(self):
        super().__init__(HurriedSelector())

    def time(self):
        return super().time() * self.TIMES


class HurriedSelector(selectors.DefaultSelector):
    def select(self, timeout=None):
        return super().select(timeout and timeout / Hurried.TIMES)


def test_the_senders_loop_is_blocked(client, scraping):
    """
    Scraped from a thread: messages grow old, and the queue gives no reason.
    """

    async def blocked():
        async with client() as sender:
            queue = SendQueue(sender)
            scraped = scraping(queue)
            async with queue:
                await queue.send(named("before"))
                queue.submit_nowait(named("a"), priority=Priority.URGENT)
                prometheus = threading.Thread(target=scrape_for, args=(scraped, 3.5))
                prometheus.start()
                prometheus.join()  # which blocks as no coroutine should
            return scraped

    with asyncio.Runner(loop_factory=Hurried) as runner:
        scraped = runner.run(blocked())

    alerts = {"OrangeSmsSenderBlocked", "OrangeSmsUrgentLate", "OrangeSmsNothingLeaves"}
    assert alerts == scraped.firing()
    assert 60 < scraped.shown("Oldest waiting")['{lane="URGENT"}']
    assert not any(scraped.shown("Why nothing leaves").values())


def scrape_for(scraped, seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        scraped.scrape()
        time.sleep(15 / Hurried.TIMES)  # of Prometheus's time, which passes
