"""What receipts say of the messages that were accepted, by country and by the start of a number."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from line import Line, named, sms
from receipt import receipt

from orange_sms_async import PostgresOutbox, SendQueue, SqliteOutbox
from orange_sms_async.outbox.postgres.migrating import migrate
from orange_sms_async.outbox.summary import QUERY, DeliveryCount, summary

pytestmark = pytest.mark.real_time


@pytest.fixture(params=["sqlite", "postgres"])
async def queue(request, path):
    """A queue over each durable outbox."""
    outbox: Any = SqliteOutbox(path)
    if request.param == "postgres":
        dsn = request.getfixturevalue("empty")
        await migrate(dsn)
        outbox = PostgresOutbox(dsn)
    async with SendQueue(Line(), outbox=outbox) as queue:
        yield queue


async def test_the_summary_of_a_queue(queue):
    """
    Each country, and below it the starts of its numbers.
    """
    numbers = {"a": "+2250701020304", "b": "+2250701020305", "c": "+2250501020304"}
    statuses = {"a": "DeliveredToTerminal", "b": "DeliveryUncertain", "c": "DeliveryImpossible"}
    for text, to in numbers.items():
        await queue.keep(receipt(await queue.send(named(text, to)), statuses[text]))
    await queue.send(named("d", "+221771234567"))

    [civ, moov, orange, sen, _] = await queue.delivery_summary()
    assert ("CIV", None, 3, 1, 1, 1, 0) == figures(civ)
    assert ("CIV", "05", 1, 0, 1, 0, 0) == figures(moov)
    assert ("CIV", "07", 2, 1, 0, 1, 0) == figures(orange)
    assert ("SEN", None, 1, 0, 0, 0, 0) == figures(sen)
    assert (0, None) == (orange.median_seconds, moov.median_seconds)
    assert [] == await queue.delivery_summary(since=datetime.now(UTC) + timedelta(hours=1))


def figures(count: DeliveryCount) -> tuple[Any, ...]:
    c = count
    return (c.country, c.prefix, c.accepted, c.delivered, c.impossible, c.uncertain, c.silent)


async def test_what_is_silent_for_an_hour(queue):
    """
    It was debited, and perhaps not received.
    """
    await queue.send(sms("a"))
    now = queue._now()
    assert [0, 0] == [each.silent for each in await queue.delivery_summary()]

    queue._now = lambda: now + 3601
    assert [1, 1] == [each.silent for each in await queue.delivery_summary()]


def test_numbers_that_were_forgotten_are_of_no_country():
    """
    Nor are those of countries that Orange's API does not send to.
    """
    [other] = summary([(0, 3), (33612 * 10**6, 4)])

    assert ("other", None, 7) == (other.country, other.prefix, other.accepted)


def test_the_median_is_of_those_delivered():
    """
    Half of them took at most as long; those without a receipt do not count.
    """
    groups = [(22507 * 10**6 + seconds * 10 + 1, count) for seconds, count in ((3, 2), (9, 3))]
    groups.append((22507 * 10**6 + 99_999 * 10 + 4, 100))

    assert [9, 9] == [each.median_seconds for each in summary(groups)]


async def test_a_queue_in_memory_knows_of_no_receipts(line):
    """
    It says so.
    """
    async with SendQueue(line) as queue:
        with pytest.raises(RuntimeError, match="durable"):
            await queue.delivery_summary()


def test_one_query_for_both():
    """
    But for how each counts seconds, and names its table.
    """
    assert 1 == QUERY.count("{message}")
