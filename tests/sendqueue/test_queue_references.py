"""A reference is one message, as long as the queue is open."""

import asyncio

import pytest
from line import sms
from times import later

from orange_sms_async import InvalidMessage, MessageWithdrawn, SendQueue
from orange_sms_async.outcomes import State


class TestReferences:
    async def test_a_reference_that_waits_is_one_message(self, line):
        """
        Submitted twice, sent once: both get the same future.
        """
        async with SendQueue(line) as queue:
            first = await queue.submit(sms("a", reference="order 1"))
            second = await queue.submit(sms("a", reference="order 1"))

            assert "id-a" == await first == await second
            await queue.submit(sms("a", reference="order 1"), not_before=later(queue, 1))
            with pytest.raises(InvalidMessage, match="reference"):
                await queue.submit(sms("b", reference="order 1"))
        assert ["a", "a"] == line.texts

    async def test_giving_up_is_for_oneself(self, line):
        """
        One who stops waiting takes nothing from another who waits for the same message.
        """
        async with SendQueue(line.paced(1)) as queue:
            await queue.submit(sms("first"))
            other = asyncio.create_task(queue.send(sms("a", reference="a")))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(queue.send(sms("a", reference="a")), 0.1)

            assert "id-a" == await other

    @pytest.mark.parametrize("delay", [0.0, 5.0])
    async def test_sent_again_after_a_time_out(self, line, delay):
        """
        Whoever gave up and asks again gets an answer, and the message is sent once.
        """
        line.delay = delay
        async with SendQueue(line.paced(1)) as queue:
            if not delay:
                await queue.submit(sms("first"))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(queue.send(sms("a", reference="a")), 0.5)

            assert "id-a" == await queue.send(sms("a", reference="a"))
        assert 1 == line.texts.count("a")

    async def test_outcome_follows_a_message(self, line):
        """
        Queued, sending, then forgotten: a memory outbox keeps what is not finished.
        """
        line.delay = 1.0
        async with SendQueue(line) as queue:
            await queue.submit(sms(reference="first"))
            await queue.submit(sms(reference="second"))
            await asyncio.sleep(0.1)

            assert State.SENDING is (await queue.outcome("first")).state
            assert State.QUEUED is (await queue.outcome("second")).state
            await queue.join()
            with pytest.raises(KeyError):
                await queue.outcome("first")

    async def test_withdraw_takes_back_what_waits_and_nothing_else(self, line):
        """
        On the wire, finished or unknown, it is too late.
        """
        line.delay = 1.0
        async with SendQueue(line) as queue:
            await queue.submit(sms("a", reference="a"))
            future = await queue.submit(sms("b", reference="b"))
            await asyncio.sleep(0.1)

            assert [False, True, False] == [await queue.withdraw(ref) for ref in ("a", "b", "?")]
            with pytest.raises(MessageWithdrawn):
                await future
        assert ["a"] == line.texts
        assert 1 == queue.statistics().withdrawn
