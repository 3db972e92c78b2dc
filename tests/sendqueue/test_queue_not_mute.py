"""A queue from which nothing leaves says why, once, in the log and in its statistics."""

import asyncio
import logging

import pytest
from line import named, sms

from orange_sms_async import (
    AuthenticationFailed,
    ConnectionFailed,
    OutboxUnusable,
    QueueClosed,
    SendQueue,
    ServiceUnavailable,
    Throttled,
)
from orange_sms_async.events import WaitingFor
from orange_sms_async.outbox.memory import MemoryOutbox

TROUBLES = {
    "no line": ([ConnectionFailed()] * 4, WaitingFor.LINE, "no connection to Orange"),
    "over capacity": ([ServiceUnavailable()] * 4, WaitingFor.ORANGE, "over capacity"),
    "throttled": ([Throttled()] * 20, WaitingFor.RATE, "throttles one request after another"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_one_record_when_it_begins_to_wait_and_one_when_it_goes_on(line, caplog, trouble):
    """
    However long it takes; neither names a person, a text or a token.
    """
    caplog.set_level(logging.INFO)
    errors, reason, words = TROUBLES[trouble]
    line.answers.extend(errors)
    async with SendQueue(line) as queue:
        future = await queue.submit(sms("a"))
        await asyncio.sleep(4)
        seen = queue.statistics()
        await future

    assert (reason, None) == (seen.waiting_for, seen.estimated_end)
    began, went_on = caplog.messages
    assert words in began
    assert "sending again" == went_on
    assert "+225" not in caplog.text


async def test_a_throttle_now_and_then_is_no_news(line, caplog):
    """
    The pacer sees to it; nobody has to be called.
    """
    line.answers.extend([Throttled(), None] * 10)
    async with SendQueue(line) as queue, queue.bulk(map(sms, "abcdefghij")) as reports:
        assert all([report.error is None async for report in reports])

    assert [] == caplog.messages


async def test_refused_credentials_are_told_in_words_to_whoever_waits(line, caplog):
    """
    In the log, in the statistics and in each error, with the error itself behind it.
    """
    refused = AuthenticationFailed("the client id or secret is wrong")
    line.readiness.append(refused)
    async with SendQueue(line) as queue:
        futures = [await queue.submit(sms(text)) for text in "ab"]
        await asyncio.wait(futures)
        seen = queue.statistics()

    words = "the queue stopped: AuthenticationFailed: the client id or secret is wrong"
    assert [words] * 2 == [str(future.exception()) for future in futures]
    assert refused is futures[0].exception().__cause__
    assert words == seen.stopped
    assert [f"nothing more is sent: {words}"] == caplog.messages


async def test_a_drain_that_gave_up_says_so(line):
    """
    Not sent for want of a line is another thing than closed on purpose.
    """
    line.answers.extend([ConnectionFailed()] * 100)
    async with SendQueue(line) as queue:
        future = await queue.submit(sms("a"))

    assert isinstance(future.exception(), QueueClosed)
    assert "nothing was accepted for 60 s" in str(future.exception())


async def test_closed_on_purpose_is_no_trouble(line, caplog):
    """
    Its owner knows why.
    """
    async with SendQueue(line) as queue:
        future = await queue.submit(sms("a"))
        await queue.aclose(drain=False)

    assert "the queue is closed" == str(future.exception())
    assert [] == caplog.messages


class FullDisk(MemoryOutbox):
    async def claim(self, now):
        raise OutboxUnusable("outbox sms.db: database or disk is full")


async def test_a_full_disk_is_told_in_words(line):
    """
    What our own errors say shows nobody's number or text.
    """
    async with SendQueue(line, outbox=FullDisk()) as queue:
        future = await queue.submit(named("a"))
        await asyncio.wait({future})

        assert "disk is full" in str(queue.statistics().stopped)
    assert "disk is full" in str(future.exception())


async def test_nothing_to_do_is_nothing_to_wait_for(line):
    """
    Idle, all is well.
    """
    async with SendQueue(line) as queue:
        await asyncio.sleep(100)
        seen = queue.statistics()

    assert (None, None, 0) == (seen.waiting_for, seen.stopped, sum(seen.waiting.values()))
