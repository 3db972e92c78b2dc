"""What holds for the outbox in memory holds for the one on disk."""

import asyncio
import math
from collections import Counter

import pytest
from line import most_in_a_second, named
from times import later, now

from orange_sms_async import (
    ConnectionFailed,
    MessageExpired,
    MessageWithdrawn,
    Priority,
    QueueFull,
    SendQueue,
    ServiceUnavailable,
)
from orange_sms_async.outbox.memory import MemoryOutbox
from orange_sms_async.outbox.sqlite import SqliteOutbox


@pytest.fixture(params=["memory", "sqlite"])
def over(request, line, path):
    """A queue over each kind of outbox: what holds for one holds for the other."""

    def queue(rate: float | None = None, **settings):
        outbox = MemoryOutbox() if request.param == "memory" else SqliteOutbox(path)
        return SendQueue(line if rate is None else line.paced(rate), outbox=outbox, **settings)

    return queue


class TestEitherOutbox:
    async def test_five_a_second_and_all_of_it(self, line, over):
        """
        The disk costs the pace nothing.
        """
        async with over() as queue, queue.bulk(named(str(n)) for n in range(100)) as reports:
            assert all([report.error is None async for report in reports])

        assert 5 == most_in_a_second(line.times)
        assert 20 == pytest.approx(line.times[-1] - line.times[0], abs=0.3)

    async def test_urgent_before_normal_before_bulk_and_each_in_order(self, line, over):
        """
        A lane leaves when those above it hold nothing.
        """
        lanes = {"u": Priority.URGENT, "n": Priority.NORMAL, "b": Priority.BULK}
        async with over() as queue:
            await queue.send(named("first"))
            for text in ("n1", "b1", "u1", "n2", "b2", "u2"):
                queue.submit_nowait(named(text), priority=lanes[text[0]])
            await queue.aclose()

        assert ["first", "u1", "u2", "n1", "n2", "b1", "b2"] == line.texts

    async def test_what_was_not_sent_goes_first_when_sending_goes_on(self, line, over):
        """
        Back to the head of its lane.
        """
        line.answers.append(ServiceUnavailable())
        async with over() as queue:
            futures = [await queue.submit(named(text)) for text in "abc"]

            assert ["id-a", "id-b", "id-c"] == await asyncio.gather(*futures)
        assert ["a", "a", "b", "c"] == line.texts

    async def test_pauses_double_from_one_second_to_sixty(self, line, over):
        """
        An outage is knocked at more and more seldom.
        """
        line.answers.extend([ConnectionFailed()] * 8)
        async with over() as queue:
            await queue.send(named("a"))

        pauses = [round(b - a) for a, b in zip(line.times, line.times[1:], strict=False)]
        assert [1, 2, 4, 8, 16, 32, 60, 60] == pauses

    async def test_a_full_lane_makes_its_producers_wait_and_no_others(self, over):
        """
        Backpressure is per lane.
        """
        async with over(capacity=2) as queue:
            due = later(queue, 5)
            for text in "ab":
                await queue.submit(named(text), priority=Priority.BULK, not_before=due)
            with pytest.raises(QueueFull, match="BULK"):
                queue.submit_nowait(named("c"), priority=Priority.BULK)
            await asyncio.wait_for(queue.submit(named("u"), priority=Priority.URGENT), 1)
            start = now()
            await queue.submit(named("d"), priority=Priority.BULK)

            assert 5 == pytest.approx(now() - start, abs=0.5)

    async def test_not_before_leaves_in_the_order_of_dates(self, line, over):
        """
        And not earlier.
        """
        async with over() as queue:
            start = now()
            await queue.submit(named("c"), not_before=later(queue, 20))
            await queue.submit(named("b"), not_before=later(queue, 10))
            await queue.submit(named("a"))
            await queue.aclose()

        assert ["a", "b", "c"] == line.texts
        assert [0, 10, 20] == [round(time - start) for time in line.times]

    async def test_what_expires_is_not_sent(self, line, over):
        """
        It takes no slot, and says so.
        """
        line.answers.append(ServiceUnavailable())
        async with over() as queue:
            due = later(queue, 0.5)
            futures = [await queue.submit(named(str(n)), expires_at=due) for n in range(10)]
            await queue.submit(named("valid"))
            results = await asyncio.gather(*futures, return_exceptions=True)
            await queue.aclose()

        assert {MessageExpired} == {type(result) for result in results}
        assert ["0", "valid"] == line.texts

    async def test_what_waits_can_be_withdrawn(self, line, over):
        """
        Its future says so, and its place is free.
        """
        async with over(capacity=1) as queue:
            first = await queue.submit(named("x"), not_before=later(queue, 5))
            assert await queue.withdraw("x")
            await asyncio.wait_for(queue.submit(named("y")), 1)
            with pytest.raises(MessageWithdrawn):
                await first
            await queue.aclose()

        assert ["y"] == line.texts

    async def test_a_drain_for_some_seconds(self, line, over):
        """
        A deploy that allows two seconds gets two seconds.
        """
        async with over() as queue:
            futures = [await queue.submit(named(str(n))) for n in range(100)]
            start = now()
            await queue.aclose(drain=2)

        assert 2 == pytest.approx(now() - start, abs=0.1)
        assert len(line.accepted) == sum(future.exception() is None for future in futures)

    async def test_no_more_are_on_the_wire_than_there_are_workers(self, line, over):
        """
        With all workers busy no message is taken.
        """
        line.delay = 1.0
        async with over(workers=2) as queue:
            for n in range(10):
                await queue.submit(named(str(n)))
            await asyncio.sleep(0.9)

            assert 2 == queue.statistics().in_flight
        assert 2 == most_in_a_second(line.times)

    async def test_unpaced(self, line, over):
        """
        All of a thousand, each once.
        """
        async with over(rate=math.inf) as queue:
            async with queue.bulk(named(str(n)) for n in range(1_000)) as reports:
                assert 1_000 == len([report async for report in reports])

        assert {1} == set(Counter(line.accepted).values())
