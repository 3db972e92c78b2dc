"""Bulk: many messages in, a report for each out, in bounded memory."""

import asyncio
import math
from typing import Any

import anyio
import pytest
from line import sms

from orange_sms_async import (
    AuthenticationFailed,
    ContractRefused,
    InvalidMessage,
    MessageWithdrawn,
    Priority,
    QueueClosed,
    SendQueue,
)


async def test_reports_come_in_order_of_completion(line):
    """
    Failures are values, beside resource ids.
    """
    line.answers.extend([None, ContractRefused()])
    async with SendQueue(line) as queue, queue.bulk(map(sms, "abc")) as reports:
        seen = [(r.message.text, r.resource_id, type(r.error)) async for r in reports]

    nothing = type(None)
    assert [("a", "id-a", nothing), ("b", None, ContractRefused), ("c", "id-c", nothing)] == seen


async def test_an_async_source(line):
    """
    Rows may come from a database cursor.
    """

    async def rows():
        for text in "abc":
            await asyncio.sleep(1)
            yield sms(text)

    async with SendQueue(line) as queue, queue.bulk(rows()) as reports:
        assert ["a", "b", "c"] == [report.message.text async for report in reports]


async def test_no_more_than_the_window_is_taken_from_the_source(line):
    """
    A million rows are never in memory: a slow reader stops the source.
    """
    taken = []

    def rows():
        for n in range(1_000):
            taken.append(n)
            yield sms(str(n))

    async with SendQueue(line.paced(math.inf)) as queue:
        async with queue.bulk(rows(), window=10) as reports:
            await anyio.sleep(1)
            assert 11 == len(taken)  # ten in the window, one in the feeder's hand
            assert 1_000 == len([report async for report in reports])


async def test_what_the_source_raises_comes_after_the_reports(line):
    """
    A broken source loses no report of what it gave before.
    """

    def rows():
        yield sms("a")
        raise ZeroDivisionError

    async with SendQueue(line) as queue, queue.bulk(rows()) as reports:
        assert "id-a" == (await anext(reports)).resource_id
        with pytest.raises(ZeroDivisionError):
            await anext(reports)


async def test_leaving_early_withdraws_what_waits(line):
    """
    `break` is safe: the queue goes on, what is on the wire finishes, the rest is not sent.
    """
    line.delay = 0.3
    async with SendQueue(line) as queue:
        async with queue.bulk(map(sms, map(str, range(1_000)))) as reports:
            async for report in reports:
                assert report.message.text == "0"
                break

        assert "id-next" == await queue.send(sms("next"))
    assert ["0", "1", "next"] == line.accepted
    assert 499 >= queue.statistics().withdrawn > 400


async def test_after_the_last_report_the_reports_stay_ended(line):
    """
    As with any iterator, asking again is an end again.
    """
    async with SendQueue(line) as queue, queue.bulk([]) as reports:
        for _ in range(2):
            with pytest.raises(StopAsyncIteration):
                await anext(reports)


async def test_wrong_credentials_report_every_row_at_once(line):
    """
    Nothing is lost: each unsent row says so, and why.
    """
    line.readiness.append(AuthenticationFailed())
    async with SendQueue(line) as queue, queue.bulk(map(sms, map(str, range(2_000)))) as reports:
        errors = [report.error async for report in reports]

    assert 2_000 == len(errors)
    assert {QueueClosed} == {type(error) for error in errors}
    assert {AuthenticationFailed} == {type(error.__cause__) for error in errors}


async def test_closing_the_queue_reports_the_rest(line):
    """
    Ctrl-C in a campaign: what was not sent is listed, not lost.
    """
    async with SendQueue(line) as queue, queue.bulk(map(sms, map(str, range(600)))) as reports:
        seen = []
        async for report in reports:
            seen.append(report)
            if len(seen) == 3:
                await queue.aclose(drain=False)

    assert 600 == len(seen)
    assert [None] * 3 == [report.error for report in seen[:3]]
    assert {QueueClosed} == {type(report.error) for report in seen[3:]}


async def test_a_message_given_up_by_its_other_holder(line):
    """
    A reference submitted beside the bulk is one message: given up there, still wanted here.
    """
    async with SendQueue(line.paced(1)) as queue:
        await queue.submit(sms("first"))
        async with queue.bulk([sms("a", reference="a")], priority=Priority.NORMAL) as reports:
            await asyncio.sleep(0.1)
            (await queue.submit(sms("a", reference="a"))).cancel()
            errors = [report.error async for report in reports]

    assert [None] == errors
    assert ["first", "a"] == line.texts


async def test_leaving_early_takes_nothing_from_another_holder(line):
    """
    A reference submitted beside the bulk is one message: given up here, still wanted there.
    """
    async with SendQueue(line.paced(1)) as queue:
        await queue.submit(sms("first"))
        future = await queue.submit(sms("a", reference="a"))
        async with queue.bulk([sms("a", reference="a"), sms("b")]):
            await asyncio.sleep(0.1)

        assert 1 == queue.statistics().withdrawn
        assert "id-a" == await future
    assert ["first", "a"] == line.texts


async def test_a_message_withdrawn_elsewhere(line):
    """
    Whoever knows a reference can take its message back: the bulk reports it.
    """
    async with SendQueue(line.paced(1)) as queue:
        await queue.submit(sms("first"))
        async with queue.bulk([sms("a", reference="a")]) as reports:
            await asyncio.sleep(0.1)
            assert await queue.withdraw("a")
            errors = [type(report.error) async for report in reports]

    assert [MessageWithdrawn] == errors


async def test_what_is_no_message_is_reported_as_such(line):
    """
    A wrong item fails alone.
    """
    messages: list[Any] = [sms("a"), "b", sms("c")]
    async with SendQueue(line) as queue, queue.bulk(messages) as reports:
        errors = [type(report.error) async for report in reports]

    assert sorted([type(None), InvalidMessage, type(None)], key=str) == sorted(errors, key=str)
    assert ["a", "c"] == line.texts


async def test_a_window_has_room(line):
    """
    A window of nothing would wait for ever.
    """
    with pytest.raises(ValueError, match="window"):
        SendQueue(line).bulk([], window=0)
