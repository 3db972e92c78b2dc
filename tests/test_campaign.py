"""Half an hour of sending, with tokens that end, receipts, and a stop in the middle."""

import asyncio
import signal

import pytest
from campaign import RATE, lived, orange, reminders, violations

from orange_sms_async import SendQueue
from orange_sms_async.receiver import ReceiptBook

HALF_AN_HOUR = 9_000  # messages


@pytest.fixture
def book():
    return ReceiptBook()


@pytest.fixture
def orange_sandbox(book):
    return orange(book, HALF_AN_HOUR)


def test_a_campaign_is_cut_and_goes_on(orange_clock, orange_client, orange_sandbox, book):
    """
    Cut after a quarter of an hour and begun again with the rest, it sends each message once.
    """
    outcomes = []

    async def send():
        sent = {outcome.reference for outcome in outcomes if outcome.resource_id}
        rest = [message for message in reminders(HALF_AN_HOUR) if message.reference not in sent]
        queue = SendQueue(orange_client, on_outcome=outcomes.append)
        async with queue, queue.bulk(rest) as reports:
            assert all([report.resource_id async for report in reports])

    with asyncio.Runner(loop_factory=orange_clock) as first, pytest.raises(TimeoutError):
        first.run(asyncio.wait_for(send(), 900))
    halfway = len(orange_sandbox.sent)
    with asyncio.Runner(loop_factory=orange_clock) as second:
        second.run(send())
        second.run(asyncio.sleep(5))

    assert 4_400 < halfway < 4_600
    assert HALF_AN_HOUR == len(orange_sandbox.sent) == len({s.text for s in orange_sandbox.sent})
    assert (5, 0) == (orange_sandbox.most_in_a_second, orange_sandbox.throttled)
    assert 3 <= orange_sandbox.statistics().token_requests
    assert HALF_AN_HOUR - 5 <= book.statistics().messages <= HALF_AN_HOUR
    assert 1_795 < orange_clock.time() < 1_850


def test_a_campaign_is_killed_and_goes_on(tmp_path):
    """
    Killed in its middle, it goes on from its outbox: each message is sent once or called unknown.
    """
    messages = HALF_AN_HOUR // 10  # every write reaches the disk, and that takes real time

    first = lived(tmp_path, messages, killed_after=messages / RATE / 2)
    second = lived(tmp_path, messages, killed_after=messages)

    assert [] == violations(messages, first, second)
    assert (-signal.SIGKILL, 0) == (first.exit_code, second.exit_code)
    assert len(second.unknown) <= 2
    assert min(first.tokens, second.tokens) > 1
    assert len(second.sent) == second.delivered
    assert messages / RATE - 1 < first.seconds + second.seconds < messages / RATE + 10
