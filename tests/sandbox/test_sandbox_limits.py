"""The four readings of "5 SMS per second"; time is an argument here."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orange_sms_async.sandbox.orange.arrivals import Arrivals, BusiestSecond
from orange_sms_async.sandbox.orange.limits import Bucket, CalendarSecond, Rolling, Spike

EVERY = (Rolling, CalendarSecond, Bucket, Spike)


def admitted(limit, times):
    return [now for now in times if limit.admit(now)]


def test_rolling_counts_any_second():
    """
    A sixth request inside one second is refused, and let through when that second is over.
    """
    limit = Rolling(5)

    assert [0.9] * 5 == admitted(limit, [0.9] * 6)
    assert [1.9] * 5 == admitted(limit, [1.8, *[1.9] * 6])


@given(st.lists(st.floats(0, 10), max_size=60).map(sorted))
def test_rolling_never_admits_more(times):
    """
    No half-open second holds more than five admitted requests, whatever comes.
    """
    passed = admitted(Rolling(5), times)

    assert all(
        later - sooner >= 1 - 1e-8 for sooner, later in zip(passed, passed[5:], strict=False)
    )


def test_rolling_lets_an_even_flow_pass():
    """
    One request each fifth of a second passes for ever, in spite of rounding.
    """
    times = [0.1 + n * 0.2 for n in range(1000)]

    assert times == admitted(Rolling(5), times)


def test_refused_requests_are_not_counted():
    """
    Who is refused a hundred times waits no longer for it.
    """
    limit = Rolling(1)
    limit.admit(0)

    assert [] == admitted(limit, [n / 100 for n in range(100)])
    assert limit.admit(1.0)


@pytest.mark.parametrize("limit", EVERY)
def test_less_than_one_a_second(limit):
    """
    Half a message a second is one message in two seconds.
    """
    assert [0, 2, 4] == admitted(limit(0.5), [0, 1, 2, 3, 4])


def test_a_longer_window():
    """
    Fifty a minute may come at once, and then none for a minute.
    """
    limit = Rolling(50 / 60, window=60)

    assert 50 == len(admitted(limit, [0.0] * 51))
    assert [60.0] == admitted(limit, [59.9, 60.0])


def test_calendar_second_forgets_at_the_stroke():
    """
    Ten requests pass within a fifth of a second, if the clock strikes between them.
    """
    limit = CalendarSecond(5)

    assert 10 == len(admitted(limit, [0.9] * 6 + [1.1] * 6))
    assert not limit.admit(1.99)


def test_bucket_allows_a_burst_and_fills_up_evenly():
    """
    Five at once, then one each 200 ms; never more than five saved up.
    """
    limit = Bucket(5)

    assert [0, 0, 0, 0, 0, 0.2, 0.4] == admitted(limit, [0] * 6 + [0.1, 0.2, 0.3, 0.4])
    assert 5 == len(admitted(limit, [100.0] * 9))


def test_spike_allows_no_burst():
    """
    One request each 200 ms, and nothing is saved up.
    """
    limit = Spike(5)

    assert [0, 0.2] == admitted(limit, [0, 0.1, 0.2, 0.3])
    assert [100.0] == admitted(limit, [100.0] * 3)


@pytest.mark.parametrize("limit", EVERY)
@pytest.mark.parametrize("rate", [0, -1, float("inf"), float("nan")])
def test_a_rate_is_positive_and_finite(limit, rate):
    """
    What is no rate is refused when the limit is made.
    """
    with pytest.raises(ValueError, match="rate"):
        limit(rate)


@given(st.lists(st.floats(0, 5), min_size=1, max_size=40).map(sorted))
def test_the_busiest_second_is_found(times):
    """
    The most arrivals in a half-open second, as counted one by one.
    """
    busiest = BusiestSecond()
    for now in times:
        busiest.add(now)

    assert max(sum(0 <= now - t < 1 - 1e-9 for t in times) for now in times) == busiest.most


def test_arrivals_are_those_of_the_last_minute():
    """
    An older one is forgotten at the next look.
    """
    arrivals, now = Arrivals(), time.time()
    for age, status in ((61, 201), (59, 403), (0, None)):
        arrivals.add(now - age, status)

    assert [403, None] == [status for _, status in arrivals.last_minute()]
