"""What is admitted gets one outcome, and every outcome is told."""

import asyncio
import gc
import logging

import pytest
from line import Line, sms

from orange_sms_async import (
    ConnectionFailed,
    ContractRefused,
    OutcomeUnknown,
    RequestRejected,
    ResourceId,
    SendQueue,
    SentMessage,
    ServiceUnavailable,
    Throttled,
    TokenExpired,
)
from orange_sms_async.outcomes import State


class TestOutcomes:
    async def test_a_message_becomes_a_resource_id(self, line):
        """
        The future of a submitted message holds what Orange calls it.
        """
        async with SendQueue(line) as queue:
            future = await queue.submit(sms("Bonjour"))

            assert "id-Bonjour" == await future
            assert "id-encore" == await queue.send(sms("encore"))

    @pytest.mark.parametrize("error", [ContractRefused(), RequestRejected(), OutcomeUnknown()])
    async def test_a_refused_message_fails_alone(self, line, error):
        """
        An error is of its own message, posted once; the next one is sent.
        """
        line.answers.append(error)
        async with SendQueue(line) as queue:
            first, second = await queue.submit(sms("a")), await queue.submit(sms("b"))
            with pytest.raises(type(error)):
                await first

            assert "id-b" == await second
        assert ["a", "b"] == line.texts

    @pytest.mark.parametrize(
        "error", [ConnectionFailed(), ServiceUnavailable(), Throttled(), TokenExpired()]
    )
    async def test_what_was_not_sent_goes_first_when_sending_goes_on(self, line, error):
        """
        Certainly not taken: back to the head of its lane, with a new slot.
        """
        line.answers.append(error)
        async with SendQueue(line) as queue:
            futures = [await queue.submit(sms(text)) for text in "abc"]

            assert ["id-a", "id-b", "id-c"] == await asyncio.gather(*futures)
        assert ["a", "a", "b", "c"] == line.texts
        assert all(b - a >= 0.2 for a, b in zip(line.times, line.times[1:], strict=False))

    async def test_pauses_double_from_one_second_to_sixty_and_start_anew(self, line):
        """
        While nothing can be reached, the queue knocks more and more seldom.
        """
        line.answers.extend([ConnectionFailed()] * 8 + [None, ConnectionFailed()])
        async with SendQueue(line) as queue:
            await queue.send(sms())
            await queue.send(sms())

        pauses = [round(b - a) for a, b in zip(line.times, line.times[1:], strict=False)]
        assert [1, 2, 4, 8, 16, 32, 60, 60, 0, 1] == pauses

    async def test_failures_of_one_outage_are_one_reason_to_pause(self):
        """
        What left before the pause and fails during it makes it no longer.
        """
        line = Line(delay=0.9)
        line.answers.extend([ConnectionFailed()] * 4)
        async with SendQueue(line) as queue:
            async with queue.bulk(sms(str(n)) for n in range(4)) as reports:
                assert 4 == len([report async for report in reports])

        assert 5 > line.times[-1]

    async def test_a_token_refused_again_and_again_is_not_asked_for_without_pause(self, line):
        """
        A server that calls every token expired is not flooded with token requests.
        """
        line.answers.extend([TokenExpired()] * 6)
        async with SendQueue(line) as queue:
            await queue.send(sms())

        assert 31 == pytest.approx(line.times[-1], abs=1)

    async def test_a_client_that_raises_what_it_should_not(self, line):
        """
        A bug in somebody's client leaves its message's outcome unknown, and the queue running.
        """
        line.answers.append(KeyError("+2250701020304"))
        async with SendQueue(line) as queue:
            with pytest.raises(OutcomeUnknown, match="KeyError") as caught:
                await queue.send(sms())

            assert "id-b" == await queue.send(sms("b"))
        assert isinstance(caught.value.__cause__, KeyError)

    async def test_a_client_whose_resource_ids_are_empty(self):
        """
        The message was taken all the same: its future says so.
        """

        class Nameless(Line):
            async def attempt(self, message):
                await super().attempt(message)
                return SentMessage(resource_id=ResourceId(""))

        async with SendQueue(Nameless()) as queue:
            assert "" == await asyncio.wait_for(queue.send(sms()), 60)

    async def test_every_outcome_is_told_even_by_a_callback_that_fails(self, line, caplog):
        """
        The callback hears of each message, and cannot stop the queue.
        """
        told = []

        def hear(outcome):
            told.append((outcome.reference, outcome.state, outcome.resource_id))
            raise RuntimeError("+2250701020304")

        line.answers.extend([None, RequestRejected()])
        async with SendQueue(line, on_outcome=hear) as queue:
            for reference in "ab":
                (await queue.submit(sms(reference, reference=reference))).cancelled()

        assert [("a", State.SENT, "id-a"), ("b", State.FAILED, None)] == told
        assert ["on_outcome raised RuntimeError"] * 2 == caplog.messages

    async def test_futures_nobody_awaits_complain_to_nobody(self, line):
        """
        Submit-and-forget is fine: the error was told where the outcome is told.
        """
        complaints = []
        asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said))
        line.answers.append(RequestRejected())
        async with SendQueue(line) as queue:
            await queue.submit(sms())
        gc.collect()

        assert [] == complaints


async def test_logs_hold_no_number_and_no_text(line, caplog):
    """
    At any level, whatever happens to a message.
    """
    caplog.set_level(logging.DEBUG)
    line.answers.extend([ConnectionFailed(), KeyError("secret"), RequestRejected()])
    async with SendQueue(line, on_outcome=lambda outcome: 1 / 0) as queue:
        for _ in range(4):
            await queue.submit(sms("confidentiel"))

    ours = [record.getMessage() for record in caplog.records if "orange" in record.name]
    assert ours
    assert not [said for said in ours if "0701020304" in said or "confidentiel" in said]
