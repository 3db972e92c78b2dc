"""The most urgent first, within its dates, in bounded room."""

import asyncio
from datetime import datetime
from typing import Any

import pytest
from line import sms
from times import later, now

from orange_sms_async import (
    ConnectionFailed,
    InvalidMessage,
    MessageExpired,
    MessageWithdrawn,
    Priority,
    QueueFull,
    SendQueue,
    ServiceUnavailable,
)
from orange_sms_async.outcomes import State


class TestLanes:
    async def test_urgent_before_normal_before_bulk_and_each_in_order(self, line):
        """
        A lane leaves when those above it hold nothing.
        """
        async with SendQueue(line) as queue:
            for text in ("n1", "b1", "u1", "n2", "b2", "u2"):
                lane = {"u": Priority.URGENT, "n": Priority.NORMAL, "b": Priority.BULK}[text[0]]
                await queue.submit(sms(text), priority=lane)

        assert ["u1", "u2", "n1", "n2", "b1", "b2"] == line.texts

    async def test_a_full_lane_makes_its_producers_wait_and_no_others(self, line):
        """
        Backpressure is per lane: a campaign does not keep a code out.
        """
        async with SendQueue(line, capacity=2) as queue:
            for n in range(3):  # the third has room when the first left, at once
                await queue.submit(sms(str(n)), priority=Priority.BULK)
            with pytest.raises(QueueFull, match="BULK"):
                queue.submit_nowait(sms("late"), priority=Priority.BULK)
            start = now()
            await queue.submit(sms("code"), priority=Priority.URGENT)
            assert 0.01 > now() - start
            await queue.submit(sms("3"), priority=Priority.BULK)

            assert now() - start > 0.2

    async def test_not_before(self, line):
        """
        A message for later leaves then, in the order of dates, and not earlier.
        """
        async with SendQueue(line) as queue:
            await queue.submit(sms("c"), not_before=later(queue, 20))
            await queue.submit(sms("b", reference="b"), not_before=later(queue, 10))
            await queue.submit(sms("a"))
            assert State.SCHEDULED is (await queue.outcome("b")).state
            assert 3 == queue.statistics().waiting[Priority.NORMAL]

        assert ["a", "b", "c"] == line.texts
        assert [0, 10, 20] == [round(time) for time in line.times]

    async def test_what_is_scheduled_can_be_withdrawn(self, line):
        """
        It is not sent, its place is free, and the rest goes on.
        """
        async with SendQueue(line, capacity=2) as queue:
            first = await queue.submit(sms("x", reference="x"), not_before=later(queue, 5))
            await queue.submit(sms("y"), not_before=later(queue, 6))
            assert await queue.withdraw("x")
            await queue.submit(sms("z"), not_before=later(queue, 4))
            with pytest.raises(MessageWithdrawn):
                await first

        assert ["z", "y"] == line.texts

    async def test_expires_at(self, line):
        """
        A message whose time ran out is not sent, takes no slot, and says so.
        """
        line.answers.append(ServiceUnavailable())
        async with SendQueue(line) as queue:
            futures = [
                await queue.submit(sms(str(n)), expires_at=later(queue, 0.5)) for n in range(10)
            ]
            await queue.submit(sms("valid"))
            results = await asyncio.gather(*futures, return_exceptions=True)

        assert {MessageExpired} == {type(result) for result in results}
        assert ["0", "valid"] == line.texts
        assert 10 == queue.statistics().expired

    async def test_what_expires_in_a_pause_says_so_at_once(self, line):
        """
        A web request that waits for a code hears in time that it will not be sent.
        """
        line.readiness.extend([ConnectionFailed()] * 6)
        async with SendQueue(line) as queue:
            await asyncio.sleep(4)
            with pytest.raises(MessageExpired):
                await queue.send(sms(), expires_at=later(queue, 2.5))

            assert 6.5 == pytest.approx(now(), abs=0.01)

    async def test_what_expires_while_it_fails_is_not_tried_again(self, line):
        """
        The error comes when the attempt ends, not when the pause is over.
        """
        line.delay = 1.0
        line.answers.append(ConnectionFailed())
        async with SendQueue(line) as queue:
            with pytest.raises(MessageExpired):
                await queue.send(sms(), expires_at=later(queue, 0.5))

            assert 1 == pytest.approx(now(), abs=0.01)

    @pytest.mark.parametrize("date", ["not_before", "expires_at"])
    async def test_dates_have_a_time_zone(self, line, date):
        """
        09:00 where? A date without zone is refused by its name.
        """
        async with SendQueue(line) as queue:
            dates: dict[str, Any] = {date: datetime(2026, 1, 1)}  # noqa: DTZ001
            with pytest.raises(InvalidMessage, match=date):
                await queue.submit(sms(), **dates)
