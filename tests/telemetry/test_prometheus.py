"""What Prometheus is told of a queue."""

import asyncio
import threading
from datetime import timedelta

import pytest
from line import Line, named
from prometheus_client import CollectorRegistry, generate_latest
from times import later, pass_at_once

from orange_sms_async import (
    ConnectionFailed,
    DeliveryReceipt,
    OutcomeUnknown,
    Priority,
    RequestRejected,
    SendQueue,
    SqliteOutbox,
    Throttled,
    Withheld,
    gates,
)
from orange_sms_async.account import Contract
from orange_sms_async.telemetry.prometheus import register


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def value(registry):
    def value(name, **labels):
        return registry.get_sample_value(f"orange_sms_{name}", labels)

    return value


async def test_what_became_of_messages_by_country(line, registry, value):
    """
    And what each request came to, by the class of its error.
    """
    line.answers.extend([Throttled(), None, RequestRejected(), OutcomeUnknown()])
    queue = SendQueue(line)
    register(queue, registry=registry)
    async with queue:
        for text, to in (("a", "+2250701020304"), ("b", "+221771234567"), ("c", "+221771234568")):
            await asyncio.wait({await queue.submit(named(text, to))})

    settled = [("CIV", "sent"), ("SEN", "failed"), ("SEN", "unknown"), ("SEN", "sent")]
    assert [1, 1, 1, 0] == [value("settled_total", country=c, state=s) for c, s in settled]
    results = ["accepted", "Throttled", "RequestRejected", "OutcomeUnknown", "AccessDenied"]
    assert [1, 1, 1, 1, 0] == [value("attempts_total", result=each) for each in results]
    assert 1 == value("throttled_total") == value("units_total", country="CIV")


async def test_what_rules_withhold(line, registry, value):
    """
    By the rule; those of somebody's own are one, whatever they are called.
    """
    rules = gates.all_of(gates.PerRecipient(1, timedelta(minutes=10)), Mine())
    queue = SendQueue(line, gate=rules)
    register(queue, registry=registry)
    async with queue:
        await queue.send(named("a"))
        for text, to in (("b", "+2250701020304"), ("mine", "+2250700000001")):
            with pytest.raises(Withheld):
                await queue.submit(named(text, to))

    names = ("per recipient", "other", "budget")
    assert [1, 1, 0] == [value("withheld_total", rule=name) for name in names]


class Mine:
    def ask(self, asked):
        return Withheld("no", rule="mine") if asked.message.text == "mine" else None


async def test_what_waits_and_why_nothing_leaves(line, registry, value):
    """
    What is for later is not late.
    """
    line.readiness.extend([ConnectionFailed()] * 100)
    queue = SendQueue(line)
    register(queue, registry=registry)
    async with queue:
        await queue.submit(named("a"), priority=Priority.URGENT)
        await queue.submit(named("b"), priority=Priority.BULK, not_before=later(queue, 3600))
        await asyncio.sleep(70)

        assert 1 == value("waiting", lane="URGENT") == value("waiting", lane="BULK")
        assert 70 == pytest.approx(value("oldest_seconds", lane="URGENT"))
        assert 0 == value("oldest_seconds", lane="BULK")
        assert (1, 0) == tuple(value("waiting_for", reason=each) for each in ("line", "Orange"))
        await queue.aclose(drain=False)


async def test_a_message_put_back_waits_since_it_was_submitted(line, registry, value):
    """
    However often it is tried.
    """
    line.answers.extend([ConnectionFailed()] * 100)
    queue = SendQueue(line)
    register(queue, registry=registry)
    async with queue:
        await queue.submit(named("a"), priority=Priority.URGENT)
        await asyncio.sleep(61)

        assert 61 == pytest.approx(value("oldest_seconds", lane="URGENT"))
        await queue.aclose(drain=False)


async def test_what_another_process_took_waits_no_longer(opened, path, line, registry, value):
    """
    Of what others submitted, nothing is kept here between two attempts but since when it waits.
    """
    line.answers.extend([ConnectionFailed()] * 1000)
    asking, sending = SendQueue(None, outbox=SqliteOutbox(path)), opened()
    register(sending, registry=registry)
    async with asking, sending:
        for text in "abc":
            await asking.submit(named(text))
        await asyncio.sleep(61)
        assert 60 == pytest.approx(value("oldest_seconds", lane="NORMAL"), abs=2)
        assert not sending._watch.tickets

        for text in "abc":
            await asking.withdraw(text)
        await asyncio.sleep(1)
        assert 0 == value("oldest_seconds", lane="NORMAL")


async def test_receipts_are_counted_and_timed(opened, registry, value):
    """
    A status that Orange does not document is "other".
    """
    queue = opened()
    register(queue, registry=registry)
    async with queue:
        resource_id = await queue.send(named("a"))
        await pass_at_once(40)
        for status in ("DeliveredToNetwork", "DeliveredToTerminal", "ReadWithJoy"):
            await queue.keep(
                DeliveryReceipt(
                    resource_id=resource_id, status=status, address="tel:+2250701020304"
                )
            )

    statuses = ["DeliveredToTerminal", "DeliveryImpossible", "other"]
    assert [1, 0, 1] == [value("receipts_total", country="CIV", status=each) for each in statuses]
    assert (0, 1) == tuple(value("delivered_seconds_bucket", le=each) for each in ("30", "60"))


async def test_seconds_from_submitted_to_accepted(registry, value):
    """
    The wait for a slot counts, and so does Orange's answer.
    """
    queue = SendQueue(Line(delay=0.3))
    register(queue, registry=registry)
    async with queue, queue.bulk(named(str(n)) for n in range(10)) as reports:
        assert 10 == len([report async for report in reports])

    assert 10 == value("accepted_seconds_count")
    assert 0 == value("accepted_seconds_bucket", le="0.25")
    assert 10 == value("accepted_seconds_bucket", le="2.5")


async def test_what_another_process_settled_is_not_counted_twice(opened, path, registry, value):
    """
    The sum over all processes is the number of messages.
    """
    asking = SendQueue(None, outbox=SqliteOutbox(path))
    register(asking, registry=registry)
    async with opened(), asking:
        await asking.send(named("a"))

    assert value("settled_total", country="CIV", state="sent") is None
    assert 1 == value("accepted_seconds_count")


async def test_units_left_are_those_of_active_contracts(line, registry, value):
    """
    A country whose contract is gone has none.
    """
    collector = register(SendQueue(line), registry=registry)
    bought = [
        Contract(country=country, offer_name="SMS_OCB", available_units=units, status=status)
        for country, units, status in (
            ("CIV", 100, "ACTIVE"),
            ("CIV", 20, "ACTIVE"),
            ("SEN", 50, "EXPIRED"),
            ("XXX", 7, "ACTIVE"),
        )
    ]
    collector.units_left(bought)
    assert [120, 0, 7] == [value("units_left", country=each) for each in ("CIV", "SEN", "other")]

    collector.units_left(bought[2:])
    assert 0 == value("units_left", country="CIV")


async def test_a_queue_that_is_not_open_can_be_scraped(opened, registry, value):
    """
    An outbox on disk knows nothing before it is opened; once it is closed it still does.
    """
    queue = opened()
    register(queue, registry=registry)
    assert value("pace") is None

    async with queue:
        pass

    assert 0 == value("waiting", lane="URGENT")


async def test_it_is_scraped_from_another_thread(registry):
    """
    As prometheus_client's own server does, while messages come and go.
    """
    queue, over, troubles = SendQueue(Line().paced(float("inf"))), threading.Event(), []
    register(queue, registry=registry)

    def scrape():
        while not over.is_set():
            try:
                generate_latest(registry)
            except Exception as error:  # noqa: BLE001 -- whatever it is
                troubles.append(error)

    scraping = threading.Thread(target=scrape)
    scraping.start()
    async with queue, queue.bulk(named(str(n)) for n in range(3000)) as reports:
        assert 3000 == len([report async for report in reports])
    over.set()
    scraping.join()

    assert not troubles


async def test_two_queues_need_two_registries(line, registry):
    """
    Their numbers would be taken for one's.
    """
    register(SendQueue(line), registry=registry)

    with pytest.raises(ValueError, match="Duplicated"):
        register(SendQueue(line), registry=registry)
