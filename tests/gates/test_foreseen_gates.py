"""A queue looks ahead through its gate, whatever gate that is."""

import asyncio

import pytest
from line import Line, named
from times import later

from orange_sms_async import Priority, SendQueue
from orange_sms_async.gates import Suppression


class Thinks:
    """Takes half a second to answer."""

    async def ask(self, asked):
        await asyncio.sleep(0.5)


class Fails:
    """Fails when it is only asked what is to come."""

    def __init__(self):
        self.asked = 0

    async def ask(self, asked):
        self.asked += not asked.leaving
        if self.asked > 20 and not asked.leaving:
            raise ZeroDivisionError


@pytest.mark.parametrize("gate", [Thinks(), Fails(), Suppression("a-key-that-tests-made-up")])
async def test_what_cannot_be_foreseen_holds_nothing_back(gate):
    """
    The estimate is that of a queue without a gate.
    """
    async with SendQueue(Line(delay=60), gate=gate, workers=1) as queue:
        for number in range(20):
            await queue.submit(named(str(number)), priority=Priority.BULK)
        ends = queue.statistics().estimated_end

        assert ends
        assert later(queue, 3) < ends < later(queue, 5)


async def test_a_gate_that_was_cancelled_is_asked_again():
    """
    The gate, and not the queue: its message leaves a minute later.
    """

    class Cancelled:
        first = True

        async def ask(self, asked):
            if asked.leaving and self.first:
                self.first = False
                raise asyncio.CancelledError

    line = Line()
    async with SendQueue(line, gate=Cancelled()) as queue:
        await queue.send(named("a"))

    assert 60 == pytest.approx(line.times[0], abs=1)
