"""Who gives up a message withdraws it, unless it is on the wire."""

import asyncio
import math

import anyio
import pytest
from line import sms

from orange_sms_async import Priority, ResourceId, SendQueue


class TestCancelling:
    @pytest.mark.parametrize("waiter", ["cancel", "wait_for", "timeout", "gather"])
    async def test_a_cancelled_future_withdraws_what_waits(self, line, waiter):
        """
        Who stops waiting for a message that has not left takes it back, however they do it.
        """
        async with SendQueue(line.paced(1)) as queue:
            await queue.submit(sms("a"))
            future = await queue.submit(sms("b", reference="b"))
            await asyncio.sleep(0.01)
            await give_up(future, waiter)
            await anyio.wait_all_tasks_blocked()

            assert 0 == queue.statistics().waiting[Priority.NORMAL]
        assert ["a"] == line.texts

    async def test_a_request_on_the_wire_is_never_cut(self, line):
        """
        Cancelling then stops the watching, not the sending.
        """
        line.delay = 1.0
        async with SendQueue(line) as queue:
            future = await queue.submit(sms("a"))
            await asyncio.sleep(0.5)
            await give_up(future, "wait_for")

        assert ["a"] == line.accepted
        assert 1 == queue.statistics().sent

    async def test_cancelled_in_the_instant_of_its_slot(self, line):
        """
        Between the cancelling and the withdrawing no slot sends it.
        """
        async with SendQueue(line.paced(math.inf)) as queue:
            futures = [queue.submit_nowait(sms(str(n))) for n in range(20)]
            for future in futures:
                future.cancel()

        assert [] == line.texts
        assert 20 == queue.statistics().withdrawn

    async def test_a_producer_that_gives_up_waiting_for_room_leaves_no_trace(self, line):
        """
        Its place goes to the next one.
        """
        async with SendQueue(line.paced(1), capacity=1) as queue:
            await queue.submit(sms("a"))
            await queue.submit(sms("b"))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(queue.submit(sms("never")), 0.1)
            await queue.submit(sms("c"))

        assert ["a", "b", "c"] == line.texts


async def give_up(future: asyncio.Future[ResourceId], waiter: str) -> None:
    if waiter == "cancel":
        future.cancel()
    elif waiter == "gather":
        gathered = asyncio.gather(future)
        gathered.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gathered
    elif waiter == "wait_for":
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(future, 0.01)
    else:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await future
