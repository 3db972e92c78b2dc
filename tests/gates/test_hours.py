"""The gate's rule about hours, and what a queue makes of a date."""

import asyncio
from datetime import datetime, time, timedelta

import pytest
from line import Line, named
from times import emptied, pass_at_once
from times_of_day import at, clock, set_clock

from orange_sms_async import OutboundMessage, Priority, SendQueue, SqliteOutbox, State, Withheld
from orange_sms_async.gates import Asked, Hours
from orange_sms_async.outbox.notebook import Notebook

CAMEROON, KINSHASA, ABIDJAN = "+237670000001", "+243810000001", "+2250700000001"
NIGHT = Hours({"CMR": (time(6), time(22))})


def asked(to: str, date: datetime, lane: Priority = Priority.BULK) -> Asked:
    message = OutboundMessage(to, "Bonjour", sender_address="tel:+2250000")
    return Asked(message, lane, date.timestamp(), True, Notebook(), b"")


@pytest.mark.parametrize(
    ("date", "opens"),
    [
        ("2026-11-26 21:59:59", None),
        ("2026-11-26 22:00", "2026-11-27 06:00"),
        ("2026-11-27 00:30", "2026-11-27 06:00"),
        ("2026-11-27 06:00", None),
    ],
)
def test_the_night_of_a_country(date, opens):
    """
    By its own clock, from the first second to the last.
    """
    assert (at(opens) if opens else None) == NIGHT.ask(asked(CAMEROON, at(date)))


def test_other_countries_and_exempt_lanes_pass():
    midnight = at("2026-11-27 00:00")

    assert NIGHT.ask(asked(ABIDJAN, midnight)) is None
    assert NIGHT.ask(asked(CAMEROON, midnight, Priority.URGENT)) is None
    assert NIGHT.ask(asked(CAMEROON, midnight, Priority.NORMAL))


def test_hours_for_all_others():
    """
    Also over midnight; and where nobody knows the time, it is no time to send.
    """
    late = Hours({"CMR": (time(6), time(22))}, others=(time(18), time(2)))

    assert late.ask(asked(ABIDJAN, at("2026-11-27 02:30"))) is None  # 01:30 there
    assert at("2026-11-27 19:00") == late.ask(asked(ABIDJAN, at("2026-11-27 03:00")))
    assert isinstance(late.ask(asked("+33612345678", at("2026-11-27 12:00"))), Withheld)


def test_a_country_with_two_clocks():
    """
    It is eight in both before anything leaves, and not yet eight in the evening in either.
    """
    day = Hours({"COD": (time(8), time(20))})

    assert at("2026-11-27 08:00") == day.ask(asked(KINSHASA, at("2026-11-27 07:30")))
    assert day.ask(asked(KINSHASA, at("2026-11-27 18:59"))) is None
    assert day.ask(asked(KINSHASA, at("2026-11-27 19:00")))


def test_what_is_no_country_is_refused():
    with pytest.raises(KeyError):
        Hours({"FRA": (time(8), time(20))})


@pytest.fixture(params=["memory", "sqlite"])
def night(request, path):
    """A queue that holds Cameroon's night, on either outbox."""
    line = Line()

    def night():
        outbox = SqliteOutbox(path) if request.param == "sqlite" else None
        return SendQueue(line, outbox=outbox, gate=NIGHT), line

    return night


async def test_a_campaign_crosses_the_night(night):
    """
    BULK waits from 22:00 to 06:00, URGENT passes, and the end is foreseen before and after.
    """
    queue, line = night()
    async with queue:
        set_clock("2026-11-26 21:59:30")
        for n in range(300):  # a minute's worth
            await queue.submit(named(f"{n}", CAMEROON), priority=Priority.BULK)
        foreseen = queue.statistics().estimated_end
        await asyncio.sleep(60)
        await pass_at_once(3600)
        before, held = len(line.left), queue.statistics()
        code = await queue.send(named("code", CAMEROON), priority=Priority.URGENT)
        at_night = clock()
        states = {outcome.state async for outcome in queue.outcomes() if not outcome.error}
        await pass_at_once(7 * 3600 - 100)
        await emptied(queue)
        ended = clock()

    soon = timedelta(seconds=5)
    expected = at("2026-11-27 06:00:30")
    assert 140 <= before <= 152
    assert expected - soon < foreseen < expected + soon
    assert expected - soon < held.estimated_end < expected + soon
    assert State.SCHEDULED in states
    assert ("id-code", "23:00", "06:00") == (code, at_night, ended)
    assert 301 == len(line.accepted)


async def test_what_is_submitted_at_night_waits(night):
    """
    It is SCHEDULED at once; its own later date still counts.
    """
    queue, line = night()
    async with queue:
        set_clock("2026-11-26 23:00")
        await queue.submit(named("a", CAMEROON))
        await queue.submit(named("b", CAMEROON), not_before=at("2026-11-27 09:00"))
        assert State.SCHEDULED is (await queue.outcome("a")).state
        await pass_at_once(7 * 3600 + 60)
        await asyncio.sleep(20)
        assert ["a"] == line.accepted
        await pass_at_once(3 * 3600 - 120)
        await emptied(queue)
        assert "09:00" == clock()


async def test_what_expires_at_night_is_not_sent(night):
    queue, line = night()
    async with queue:
        set_clock("2026-11-26 23:00")
        await queue.submit(named("a", CAMEROON), expires_at=at("2026-11-26 23:01"))
        await emptied(queue)

        assert [] == line.left
        assert 1 == queue.statistics().expired
