"""The queue in numbers: what waits, what became of the rest, and what they weigh."""

import asyncio
from datetime import timedelta

import pytest
from line import sms
from times import later

from orange_sms_async import OutcomeUnknown, Priority, RequestRejected, SendQueue


class TestStatistics:
    async def test_statistics_are_a_value(self, line):
        """
        A queue can be printed at any moment.
        """
        line.delay = 1.0
        line.answers.extend([None, RequestRejected(), OutcomeUnknown()])
        async with SendQueue(line) as queue:
            for n in range(100):
                queue.submit_nowait(sms(str(n)), priority=Priority.BULK)
            await asyncio.sleep(2.05)
            seen = queue.statistics()
            await queue.aclose(drain=False)

        assert (4, 1, 1) == (seen.sent, seen.failed, seen.unknown)
        assert 5 == seen.in_flight
        assert 100 - 11 == seen.waiting[Priority.BULK]
        assert seen.estimated_end is not None
        assert seen.estimated_end - later(queue, 0) < timedelta(seconds=89 / seen.pace)

    async def test_for_how_long_what_is_oldest_waits(self, line):
        """
        What is for later is not late before its time; what is on the wire waits no more.
        """
        line.delay = 1e6
        async with SendQueue(line, workers=1) as queue:
            assert {0.0} == {*queue.statistics().oldest.values()}
            for n, lane in enumerate(Priority):
                in_time = later(queue, 30.0) if n == 2 else None
                await queue.submit(sms(str(n)), priority=lane, not_before=in_time)
            await asyncio.sleep(40)
            oldest = queue.statistics().oldest
            await queue.aclose(drain=False)

        assert [0, 40, 10] == [pytest.approx(oldest[lane]) for lane in Priority]

    async def test_a_waiting_message_is_small(self, line):
        """
        100,000 waiting messages fit a small server: less than 1.5 KiB each.
        """
        import tracemalloc

        async with SendQueue(line, capacity=10_000) as queue:
            tracemalloc.start()
            for n in range(10_000):
                queue.submit_nowait(sms(f"Votre code est {n:06}. Ne le partagez pas."))
            size, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            await queue.aclose(drain=False)

        assert 1_536 > size / 10_000

    def test_a_lane_has_room(self, line):
        """
        A capacity of nothing, and nobody to send, are mistakes, found at once.
        """
        with pytest.raises(ValueError, match="capacity"):
            SendQueue(line, capacity=0)
        with pytest.raises(ValueError, match="workers"):
            SendQueue(line, workers=0)
