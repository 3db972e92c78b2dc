"""Waiting for the receipt of a message, by its reference or in a bulk."""

import asyncio
import gc
from datetime import timedelta

import pytest
from line import named
from receipt import ARRIVED, NETWORK, receipt
from times import pass_at_once

from orange_sms_async import (
    ConnectionFailed,
    MessageWithdrawn,
    OutcomeUnknown,
    QueueClosed,
    RequestRejected,
    ResourceId,
)
from orange_sms_async.outcomes import State


class TestDelivered:
    async def test_a_receipt_that_comes(self, opened):
        """
        What is not final is not waited for.
        """
        async with opened() as queue:
            await queue.send(named("a"))
            waiting = asyncio.create_task(queue.delivered("a"))
            await asyncio.sleep(1)
            await queue.keep(receipt("id-a", NETWORK))
            await asyncio.sleep(1)
            assert not waiting.done()
            await queue.keep(receipt("id-a", "DeliveryImpossible"))

            assert "DeliveryImpossible" == (await waiting).status

    async def test_of_an_earlier_process(self, opened):
        """
        Whether its receipt came before the end of that, or comes now.
        """
        async with opened() as queue:
            await queue.send(named("a"))
            await queue.send(named("b"))
            await queue.keep(receipt("id-a"))
        async with opened() as queue:
            waiting = asyncio.create_task(queue.delivered("b"))
            await asyncio.sleep(1)
            await queue.keep(receipt("id-b"))

            assert (await queue.delivered("a")).delivered
            assert (await waiting).delivered

    async def test_of_a_message_that_waits(self, opened):
        """
        Its reference is enough, before there is a resource id.
        """
        async with opened() as queue:
            with pytest.raises(KeyError):
                await queue.delivered("a")
            await queue.submit(named("a"))
            waiting = asyncio.create_task(queue.delivered("a"))
            await queue.join()
            await queue.keep(receipt("id-a"))

            assert (await waiting).delivered

    async def test_of_an_unknown_message(self, line, opened):
        """
        The receipt that settles it is the one waited for.
        """
        line.answers.append(OutcomeUnknown())
        async with opened() as queue:
            await asyncio.wait({await queue.submit(named("a"))})
            waiting = asyncio.create_task(queue.delivered("a"))
            await asyncio.sleep(1)
            await queue.keep(receipt("81e4"))

            assert receipt("81e4") == await waiting

    async def test_of_what_a_person_settles(self, line, opened):
        """
        Its receipt was there before, and the other's: both are told at once.
        """
        line.answers.extend([OutcomeUnknown(), OutcomeUnknown()])
        told = []
        async with opened(on_outcome=lambda o: told.append((o.reference, o.state))) as queue:
            await asyncio.wait([await queue.submit(named(name)) for name in "ab"])
            waiting = [asyncio.create_task(queue.delivered(name, 60)) for name in "ab"]
            for resource_id in ("81e4", "92f5"):
                await queue.keep(receipt(resource_id))
            await queue.resolve("a", sent=ResourceId("81e4"))

            assert [receipt("81e4"), receipt("92f5")] == await asyncio.gather(*waiting)
        unknown = [("a", State.UNKNOWN), ("b", State.UNKNOWN)]
        assert [*unknown, ("a", State.SENT), ("b", State.SENT)] == told

    @pytest.mark.parametrize("timeout", [0, 5])
    async def test_none_comes(self, opened, timeout):
        """
        It ends on time.
        """
        async with opened() as queue:
            await queue.send(named("a"))
            start = asyncio.get_running_loop().time()
            with pytest.raises(TimeoutError):
                await queue.delivered("a", timeout)

            assert timeout == pytest.approx(asyncio.get_running_loop().time() - start, abs=0.1)

    async def test_who_waits_in_vain_is_forgotten(self, opened):
        """
        However often: nothing of those that gave up stays with the queue.
        """
        async with opened() as queue:
            await queue.send(named("a"))
            before = futures()
            for _ in range(100):
                with pytest.raises(TimeoutError):
                    await queue.delivered("a", 0)

            assert 50 > futures() - before

    async def test_a_person_finds_out_whose_a_receipt_was(self, line, opened):
        """
        Of two unknown messages it may have been either's: who waits hears when that is settled.
        """
        line.answers.extend([OutcomeUnknown()] * 2)
        async with opened() as queue:
            for name in "ab":
                await asyncio.wait({await queue.submit(named(name))})
            await queue.keep(receipt("id-a"))
            waiting = asyncio.create_task(queue.delivered("a", 60))
            await asyncio.sleep(1)
            await queue.resolve("a", sent=ResourceId("id-a"))

            assert receipt("id-a") == await waiting

    @pytest.mark.parametrize("timeout", [float("inf"), float("nan"), -1])
    async def test_it_always_has_an_end(self, opened, timeout):
        """
        Orange may never report.
        """
        async with opened() as queue:
            with pytest.raises(ValueError, match="finite"):
                await queue.delivered("a", timeout)
            with pytest.raises(ValueError, match="delivered_within"):
                queue.bulk([named("a")], delivered_within=timeout)

    async def test_of_what_was_not_sent(self, line, opened):
        """
        Refused before or after, or withdrawn: nothing will come.
        """
        line.answers.extend([RequestRejected(), ConnectionFailed()])
        async with opened() as queue:
            await asyncio.wait({await queue.submit(named("a"))})
            with pytest.raises(RequestRejected):
                await queue.delivered("a")
            await queue.submit(named("b"))
            waiting = asyncio.create_task(queue.delivered("b"))
            await asyncio.sleep(0.5)
            await queue.withdraw("b")

            with pytest.raises(MessageWithdrawn):
                await waiting

    async def test_the_queue_ends_first(self, opened):
        """
        Nobody waits for ever; nor after the end.
        """
        async with opened() as queue:
            await queue.send(named("a"))
            waiting = asyncio.create_task(queue.delivered("a"))
            await asyncio.sleep(1)

        with pytest.raises(QueueClosed):
            await waiting
        with pytest.raises(QueueClosed):
            await queue.delivered("a")

    async def test_reports_of_a_bulk_wait_for_receipts(self, line, opened):
        """
        Each for its own; the furthest there is when the time is up.
        """
        line.answers.append(RequestRejected())
        statuses = {"b": ARRIVED, "c": NETWORK}
        async with opened() as queue:
            reported = {}
            async with queue.bulk(map(named, "abcd"), delivered_within=5) as reports:
                async for report in reports:
                    reported[report.message.reference] = report.delivery and report.delivery.status
                    if report.error:
                        for reference, status in statuses.items():
                            await queue.keep(receipt(f"id-{reference}", status))

        assert {"a": None, "b": ARRIVED, "c": NETWORK, "d": None} == reported

    async def test_a_report_of_a_message_that_is_forgotten_meanwhile(self, opened):
        """
        It comes all the same, without a word of delivery.
        """
        async with opened(retention=timedelta(days=1)) as queue:
            async with queue.bulk([named("a")], delivered_within=201_000) as reports:
                await asyncio.sleep(1)  # it is accepted, and waits for its receipt
                for text in "bc":
                    await pass_at_once(100_000)
                    await queue.send(named(text))
                with pytest.raises(KeyError):
                    await queue.outcome("a")
                told = [report.delivery async for report in reports]

        assert [None] == told

    async def test_a_message_is_kept_as_long_as_its_receipts_may_come(self, opened):
        """
        Or another one to its number would be taken for sent.
        """
        async with opened(retention=timedelta(seconds=1)) as queue:
            await queue.send(named("a"))
            await asyncio.sleep(3_600)
            await queue.send(named("b"))

            assert "a" == (await queue.keep(receipt("id-a"))).reference

    async def test_a_bulk_that_is_left_waits_no_more(self, opened):
        """
        Nor does one whose queue ends.
        """
        async with opened() as queue:
            async with queue.bulk([named("a")], delivered_within=1_000):
                await asyncio.sleep(2)
            async with queue.bulk([named("b")], delivered_within=1_000) as reports:
                await asyncio.sleep(2)
                await queue.aclose()

                assert [("id-b", None)] == [
                    (report.resource_id, report.delivery) async for report in reports
                ]


def futures():
    """Count the futures that anybody still has."""
    gc.collect()
    return sum(isinstance(each, asyncio.Future) for each in gc.get_objects())
