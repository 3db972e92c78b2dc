"""The short form of `python tests/stopped_fleet.py`: a sender stopped with a claim in hand."""

import pytest
from stopped_fleet import ENGINES, MESSAGES, stopped

pytestmark = pytest.mark.real_time


@pytest.mark.parametrize("engine", ENGINES)
def test_what_was_claimed_does_not_leave_when_its_process_goes_on(dsn, engine):
    """
    Its turn is another's by then, which has called the message unknown: it was never sent.
    """
    states, wrong = stopped(dsn, engine=engine, seconds=3.0, fence=0.3, lease=1.0)

    assert [] == wrong
    assert {"sent": MESSAGES - 1, "unknown": 1} == states


def test_what_was_stopped_for_less_than_its_lease_goes_back(dsn):
    """
    And is sent in a turn of its own.
    """
    states, wrong = stopped(dsn, engine="httpx", seconds=0.6, fence=0.3, lease=3.0)

    assert [] == wrong
    assert {"sent": MESSAGES} == states
