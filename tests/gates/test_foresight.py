"""When the last message leaves, with what is held back on the way."""

import math

import pytest

from orange_sms_async.outcomes import Priority
from orange_sms_async.sendqueue.foresight import end

URGENT, BULK = Priority.URGENT, Priority.BULK
HOUR, DAY = 3600.0, 86_400.0


def nights(lane, at):
    """BULK from 22:00 to 06:00, by a clock that began at midnight."""
    hour = at % DAY / HOUR
    if lane is URGENT or 6 <= hour < 22:
        return at
    return at - at % DAY + (30 if hour >= 22 else 6) * HOUR


def test_nothing_is_held_back():
    assert 100 == pytest.approx(end({URGENT: 100, BULK: 400}, 5, 0, lambda _, at: at))
    assert 7 == end({BULK: 10}, math.inf, 7, lambda _, at: at)
    assert 7 == end({}, 5, 7, lambda _, at: at)


@pytest.mark.parametrize(
    ("begins", "hours", "ends"),
    [
        (12, 9, 21),  # by day
        (21, 2, 31),  # an hour before the night, and one after it
        (23, 1, 31),  # begun at night
        (6, 40, 24 * 2 + 14),  # over two nights
    ],
)
def test_nights(begins, hours, ends):
    """
    Foreseen before the first of them, to the minute.
    """
    waiting = {BULK: int(hours * HOUR * 5)}

    assert ends * HOUR == pytest.approx(end(waiting, 5, begins * HOUR, nights), abs=60)


def test_a_lane_above_goes_first_once_it_opens():
    """
    What is held back meanwhile costs the others no time, until its date.
    """

    def held(lane, at):
        return max(at, 1000.0) if lane is URGENT else at

    told = []
    ends = end({URGENT: 500, BULK: 10_000}, 5, 0, held, lambda *what: told.append(what))

    assert 2100 == pytest.approx(ends)
    assert [(URGENT, 1000.0, 100.0)] == told


def test_what_is_held_back_for_ever_has_an_end():
    """
    Nobody asks what a gate will say in a year.
    """
    assert end({BULK: 5}, 5, 0, lambda _, at: at + DAY) > 30 * DAY
