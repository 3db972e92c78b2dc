"""Messages leave evenly, as many as the account allows and no more."""

import asyncio
import math
from types import SimpleNamespace
from typing import Any

import pytest
from line import Line, most_in_a_second, sms
from times import now

from orange_sms_async import Priority, SendQueue, TokenExpired


class TestPace:
    async def test_five_a_second_and_all_of_it(self, line):
        """
        100 messages leave in 20 seconds, never six in one.
        """
        async with SendQueue(line) as queue, queue.bulk(map(sms, map(str, range(100)))) as reports:
            assert all([report.error is None async for report in reports])

        assert 5 == most_in_a_second(line.times)
        assert 20 == pytest.approx(line.times[-1], abs=0.2)

    async def test_nothing_bunches_up_behind_a_token(self):
        """
        Token first, slot second: a slow token endpoint delays, it does not compress.
        """
        line = Line(token_delay=0.4)
        async with SendQueue(line) as queue, queue.bulk(map(sms, map(str, range(20)))) as reports:
            assert 20 == len([report async for report in reports])

        assert all(b - a >= 0.2 for a, b in zip(line.times, line.times[1:], strict=False))

    async def test_a_token_that_dies_costs_one_renewal(self, line):
        """
        Ten on the wire with a dead token, then one renewal, then all of them again, evenly.
        """
        line.delay = 1.9
        line.answers.extend([TokenExpired()] * 10)
        async with SendQueue(line) as queue, queue.bulk(map(sms, map(str, range(20)))) as reports:
            assert all([report.error is None async for report in reports])

        assert 30 == len(line.left)
        assert 5 >= most_in_a_second(line.times)
        assert 30 / 5 == pytest.approx(line.times[-1], abs=0.4)

    async def test_an_urgent_message_waits_for_one_slot(self, line):
        """
        A one-time code behind a full bulk lane leaves with the next slot.
        """
        async with SendQueue(line, capacity=1_000) as queue:
            for n in range(1_000):
                queue.submit_nowait(sms(str(n)), priority=Priority.BULK)
            await asyncio.sleep(1.05)
            start = now()
            await queue.send(sms("code"), priority=Priority.URGENT)

            assert now() - start <= 0.2 * 1.01
            await queue.aclose(drain=False)

    async def test_slow_answers_do_not_slow_the_pace(self):
        """
        There are workers enough for answers as slow as the client's timeout.
        """
        line = Line(delay=29)
        async with SendQueue(line) as queue, queue.bulk(map(sms, map(str, range(300)))) as reports:
            assert 300 == len([report async for report in reports])

        assert 60 == pytest.approx(line.times[-1], abs=1)

    async def test_no_more_are_on_the_wire_than_there_are_workers(self, line):
        """
        With all workers busy no slot is taken, so none is wasted.
        """
        line.delay = 1.0
        async with SendQueue(line, workers=2) as queue:
            async with queue.bulk(map(sms, map(str, range(10)))) as reports:
                assert 10 == len([report async for report in reports])

        assert 2 == most_in_a_second(line.times)

    async def test_queues_on_one_client_share_its_limit(self, line):
        """
        Two queues of one process do not make ten a second.
        """
        async with SendQueue(line) as one, SendQueue(line) as two:
            async with one.bulk(map(sms, "abcdefghij")) as a, two.bulk(map(sms, "klmnopqrst")) as b:
                assert 20 == len([report async for report in a] + [report async for report in b])

        assert 5 >= most_in_a_second(line.times)

    @pytest.mark.parametrize("missing", ["ready", "attempt", "pacer", "timeout"])
    async def test_a_client_has_all_that_a_queue_needs(self, line, missing):
        """
        A wrapper that forwards three of the four would be paced apart from what it wraps.
        """
        names = {"ready", "attempt", "pacer", "timeout"} - {missing}
        wrapper = SimpleNamespace(**{name: getattr(line, name) for name in names})

        with pytest.raises(TypeError, match=f"client: has no {missing}"):
            SendQueue(wrapper)

    async def test_wrappers_of_one_client_share_its_pace(self, line):
        """
        Two of them, and one that is no key: they send five a second together.
        """

        class Slotted:
            __slots__ = ("attempt", "pacer", "ready", "timeout")
            __hash__ = None  # type: ignore[assignment]

            def __init__(self):
                for name in self.__slots__:
                    setattr(self, name, getattr(line, name))

        clients: list[Any] = [Slotted(), Slotted()]
        async with SendQueue(clients[0]) as one, SendQueue(clients[1]) as other:
            for number in range(20):
                await (one, other)[number % 2].submit(sms(str(number)))

        assert 5 == most_in_a_second(line.times)

    async def test_unpaced(self, line):
        """
        An infinite rate is for servers without a limit, and for tests.
        """
        async with SendQueue(line.paced(math.inf)) as queue:
            async with queue.bulk(map(sms, map(str, range(1_000)))) as reports:
                assert 1_000 == len([report async for report in reports])
            assert 0.01 > now()
            assert math.inf == queue.statistics().pace
