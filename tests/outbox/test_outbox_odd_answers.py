"""Answers that no file can hold stop neither the queue nor the file."""

import asyncio

import attrs
import pytest
from disk import outcomes
from line import Line, named, sms

from orange_sms_async import RequestRejected, ResourceId, SendQueue
from orange_sms_async.outbox.sqlite import SqliteOutbox
from orange_sms_async.outcomes import State


class OddError(RequestRejected):
    """Carries what no file can hold, and what none should."""

    def __init__(self, message):
        super().__init__(message)
        self.ring = {(1, 2): self}
        self.number = "+2250701020304"


class TestOddAnswers:
    async def test_an_error_with_odd_luggage(self, line, outbox, path):
        """
        Its words are kept, what else it carries is not: neither the queue nor the file minds.
        """
        line.answers.append(OddError("no"))
        async with asyncio.timeout(60), SendQueue(line, outbox=outbox) as queue:
            with pytest.raises(OddError):
                await queue.send(sms("a", reference="a"))
            assert "id-b" == await queue.send(named("b"))
            await outbox.forget()

            assert (RequestRejected, "no") == (
                type((await queue.outcome("a")).error),
                str((await queue.outcome("a")).error),
            )
            files = [file.read_bytes() for file in path.parent.glob(f"{path.name}*")]
            assert not [content for content in files if b"701020304" in content]

    async def test_words_no_file_can_hold(self, line, opened):
        """
        Half a character in an answer does not stop the queue.
        """
        line.answers.append(RequestRejected("half a character: \ud83d"))
        async with asyncio.timeout(60), opened() as queue:
            with pytest.raises(RequestRejected):
                await queue.send(named("a"))

            assert State.FAILED is (await queue.outcome("a")).state
            assert "id-b" == await queue.send(named("b"))

    async def test_a_resource_id_no_file_can_hold(self, path):
        """
        It was taken: that is kept, whatever the id looks like.
        """

        class Odd(Line):
            async def attempt(self, message):
                sent = await super().attempt(message)
                return attrs.evolve(sent, resource_id=ResourceId("half: \ud83d"))

        async with asyncio.timeout(60), SendQueue(Odd(), outbox=SqliteOutbox(path)) as queue:
            for text in "ab":
                await queue.send(named(text))

            assert {"sent"} == set((await outcomes(queue)).values())
