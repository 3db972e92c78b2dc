"""The queue: what is admitted gets one outcome, at the pace, the most urgent first."""

import asyncio
import contextlib
import gc
import logging
import math
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import anyio
import pytest
from line import Line, most_in_a_second, sms

from orange_sms_async import (
    AccessDenied,
    AuthenticationFailed,
    ConnectionFailed,
    ContractRefused,
    InvalidMessage,
    MessageExpired,
    MessageWithdrawn,
    OutcomeUnknown,
    Pacer,
    Priority,
    QueueClosed,
    QueueFull,
    RequestRejected,
    SendQueue,
    SentMessage,
    ServiceUnavailable,
    Throttled,
    TokenExpired,
)
from orange_sms_async.outcomes import State


@pytest.fixture
def line():
    return Line()


def now():
    return asyncio.get_running_loop().time()


def later(queue: SendQueue, seconds: float) -> datetime:
    """A date on the queue's clock, which jumps with the loop's."""
    return datetime.fromtimestamp(queue._now() + seconds, UTC)


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
                return SentMessage(resource_id="")

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
            __hash__ = None

            def __init__(self):
                for name in self.__slots__:
                    setattr(self, name, getattr(line, name))

        async with SendQueue(Slotted()) as one, SendQueue(Slotted()) as other:
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


class TestLanes:
    async def test_urgent_before_normal_before_bulk_and_each_in_order(self, line):
        """
        A lane leaves when those above it hold nothing.
        """
        async with SendQueue(line) as queue:
            for text in ("n1", "b1", "u1", "n2", "b2", "u2"):
                lane = {"u": Priority.URGENT, "n": Priority.NORMAL, "b": Priority.BULK}[text[0]]
                await queue.submit(sms(text), priority=lane)

        assert ["u1", "u2", "n1", "n2", "b1", "b2"] == line.texts

    async def test_a_full_lane_makes_its_producers_wait_and_no_others(self, line):
        """
        Backpressure is per lane: a campaign does not keep a code out.
        """
        async with SendQueue(line, capacity=2) as queue:
            for n in range(3):  # the third has room when the first left, at once
                await queue.submit(sms(str(n)), priority=Priority.BULK)
            with pytest.raises(QueueFull, match="BULK"):
                queue.submit_nowait(sms("late"), priority=Priority.BULK)
            start = now()
            await queue.submit(sms("code"), priority=Priority.URGENT)
            assert 0.01 > now() - start
            await queue.submit(sms("3"), priority=Priority.BULK)

            assert now() - start > 0.2

    async def test_not_before(self, line):
        """
        A message for later leaves then, in the order of dates, and not earlier.
        """
        async with SendQueue(line) as queue:
            await queue.submit(sms("c"), not_before=later(queue, 20))
            await queue.submit(sms("b", reference="b"), not_before=later(queue, 10))
            await queue.submit(sms("a"))
            assert State.SCHEDULED is (await queue.outcome("b")).state
            assert 3 == queue.statistics().waiting[Priority.NORMAL]

        assert ["a", "b", "c"] == line.texts
        assert [0, 10, 20] == [round(time) for time in line.times]

    async def test_what_is_scheduled_can_be_withdrawn(self, line):
        """
        It is not sent, its place is free, and the rest goes on.
        """
        async with SendQueue(line, capacity=2) as queue:
            first = await queue.submit(sms("x", reference="x"), not_before=later(queue, 5))
            await queue.submit(sms("y"), not_before=later(queue, 6))
            assert await queue.withdraw("x")
            await queue.submit(sms("z"), not_before=later(queue, 4))
            with pytest.raises(MessageWithdrawn):
                await first

        assert ["z", "y"] == line.texts

    async def test_expires_at(self, line):
        """
        A message whose time ran out is not sent, takes no slot, and says so.
        """
        line.answers.append(ServiceUnavailable())
        async with SendQueue(line) as queue:
            futures = [
                await queue.submit(sms(str(n)), expires_at=later(queue, 0.5)) for n in range(10)
            ]
            await queue.submit(sms("valid"))
            results = await asyncio.gather(*futures, return_exceptions=True)

        assert {MessageExpired} == {type(result) for result in results}
        assert ["0", "valid"] == line.texts
        assert 10 == queue.statistics().expired

    async def test_what_expires_in_a_pause_says_so_at_once(self, line):
        """
        A web request that waits for a code hears in time that it will not be sent.
        """
        line.readiness.extend([ConnectionFailed()] * 6)
        async with SendQueue(line) as queue:
            await asyncio.sleep(4)
            with pytest.raises(MessageExpired):
                await queue.send(sms(), expires_at=later(queue, 2.5))

            assert 6.5 == pytest.approx(now(), abs=0.01)

    async def test_what_expires_while_it_fails_is_not_tried_again(self, line):
        """
        The error comes when the attempt ends, not when the pause is over.
        """
        line.delay = 1.0
        line.answers.append(ConnectionFailed())
        async with SendQueue(line) as queue:
            with pytest.raises(MessageExpired):
                await queue.send(sms(), expires_at=later(queue, 0.5))

            assert 1 == pytest.approx(now(), abs=0.01)

    @pytest.mark.parametrize("date", ["not_before", "expires_at"])
    async def test_dates_have_a_time_zone(self, line, date):
        """
        09:00 where? A date without zone is refused by its name.
        """
        async with SendQueue(line) as queue:
            with pytest.raises(InvalidMessage, match=date):
                await queue.submit(sms(), **{date: datetime(2026, 1, 1)})  # noqa: DTZ001


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


async def wait_for(event: asyncio.Event) -> float:
    await event.wait()
    return now()


async def give_up(future: asyncio.Future[object], waiter: str) -> None:
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


class TestClosing:
    async def test_leaving_the_block_sends_what_waits(self, line):
        """
        Leaving is the drain.
        """
        async with SendQueue(line) as queue:
            futures = [await queue.submit(sms(text)) for text in "abc"]

        assert ["id-a", "id-b", "id-c"] == [future.result() for future in futures]

    async def test_leaving_through_an_exception_sends_nothing_more(self, line):
        """
        What waits gets QueueClosed; what is on the wire finishes.
        """
        line.delay = 1.0
        queue = await SendQueue(line).__aenter__()
        futures = [await queue.submit(sms(text)) for text in "abc"]
        await asyncio.sleep(0.1)
        await queue.__aexit__(ZeroDivisionError, ZeroDivisionError(), None)

        assert "id-a" == futures[0].result()
        assert {QueueClosed} == {type(future.exception()) for future in futures[1:]}

    async def test_a_drain_gives_up_when_nothing_is_accepted_for_a_minute(self, line):
        """
        With no network, leaving ends, and every future says why.
        """
        line.answers.extend([ConnectionFailed()] * 100)
        async with SendQueue(line) as queue:
            future = await queue.submit(sms())
            await asyncio.sleep(100)
            left = now()

        assert 60 == pytest.approx(now() - left, abs=0.1)
        assert isinstance(future.exception(), QueueClosed)

    async def test_a_drain_goes_on_as_long_as_something_is_accepted(self, line):
        """
        A campaign of ten minutes is drained to its end.
        """
        async with SendQueue(line) as queue:
            for n in range(3_000):
                await queue.submit(sms(str(n)))

        assert 3_000 == len(line.accepted)
        assert now() > 590

    async def test_a_drain_for_some_seconds(self, line):
        """
        A deploy that allows two seconds gets two seconds.
        """
        async with SendQueue(line) as queue:
            futures = [await queue.submit(sms(str(n))) for n in range(100)]
            await queue.aclose(drain=2)

        assert 2 == pytest.approx(now(), abs=0.01)
        assert 10 == len(line.accepted) == sum(f.exception() is None for f in futures)

    async def test_closing_ends_a_request_that_never_does(self, line):
        """
        A client that hangs for ever is cut after a minute: that outcome is unknown.
        """
        line.delay = math.inf
        async with SendQueue(line) as queue:
            future = await queue.submit(sms())
            await asyncio.sleep(0.1)
            await queue.aclose(drain=False)

        assert isinstance(future.exception(), OutcomeUnknown)
        assert 1 == queue.statistics().unknown

    async def test_a_client_that_takes_a_cancellation_for_nothing(self):
        """
        It is cut again, and closing ends.
        """

        class Stubborn(Line):
            async def attempt(self, message):
                for _ in range(3):
                    with contextlib.suppress(asyncio.CancelledError):
                        await asyncio.Event().wait()
                return await super().attempt(message)

        async with SendQueue(Stubborn()) as queue:
            future = await queue.submit(sms())
            await asyncio.sleep(1)
            await asyncio.wait_for(queue.aclose(drain=False), 120)

        assert "id-Bonjour" == future.result()

    async def test_what_comes_back_unsent_to_a_closed_queue(self, line):
        """
        It is not tried again, and its future says that it was not sent.
        """
        line.delay = 1.0
        line.answers.append(ConnectionFailed())
        async with SendQueue(line) as queue:
            future = await queue.submit(sms())
            await asyncio.sleep(0.1)
            await queue.aclose(drain=False)

        assert isinstance(future.exception(), QueueClosed)
        assert 1 == len(line.left)

    async def test_a_closed_queue_admits_nothing(self, line):
        """
        Neither those who come late nor those who wait for room.
        """
        async with SendQueue(line.paced(1), capacity=1) as queue:
            await queue.submit(sms())
            await queue.submit(sms())
            blocked = [asyncio.create_task(queue.submit(sms())) for _ in range(5)]
            await anyio.wait_all_tasks_blocked()
            await queue.aclose(drain=False)
            results = await asyncio.gather(*blocked, return_exceptions=True)

        assert [QueueClosed] * 5 == [type(result) for result in results]
        with pytest.raises(QueueClosed):
            queue.submit_nowait(sms())

    async def test_a_full_queue_that_drains_says_that_it_closes(self, line):
        """
        Not that it is full, as if there would be room later; and at once.
        """
        async with SendQueue(line.paced(1), capacity=1) as queue:
            await queue.submit(sms())
            await queue.submit(sms())
            draining = asyncio.create_task(queue.aclose())
            await asyncio.sleep(0.1)
            start = now()
            with pytest.raises(QueueClosed):
                queue.submit_nowait(sms())
            with pytest.raises(QueueClosed):
                await queue.submit(sms())

            assert 0.01 > now() - start
            await draining

    @pytest.mark.parametrize("error", [AuthenticationFailed(), AccessDenied()])
    @pytest.mark.parametrize("where", ["answers", "readiness"])
    async def test_wrong_credentials_stop_the_queue(self, line, error, where):
        """
        No other message would fare better: all get QueueClosed with that cause, at once.
        """
        getattr(line, where).extend([None, error])
        async with SendQueue(line) as queue:
            futures = [await queue.submit(sms(text)) for text in "abcd"]
            results = await asyncio.gather(*futures, return_exceptions=True)
            with pytest.raises(QueueClosed) as refused:
                await queue.submit(sms())
            await queue.join()

        closed = [result for result in results if isinstance(result, QueueClosed)]
        assert len(closed) == (2 if where == "answers" else 3)
        assert [error] * len(closed) == [result.__cause__ for result in closed]
        assert error is refused.value.__cause__

    async def test_a_client_whose_token_call_breaks_stops_the_queue(self, line, caplog):
        """
        A fault nobody foresaw is logged by its name alone, and resolves every future.
        """
        line.readiness.append(KeyError("secret"))
        async with SendQueue(line) as queue:
            future = await queue.submit(sms())
            with pytest.raises(QueueClosed) as closed:
                await future

        assert isinstance(closed.value.__cause__, KeyError)
        assert ["the queue stopped on KeyError"] == caplog.messages

    async def test_a_token_that_cannot_be_had_is_asked_for_again(self, line):
        """
        An unreachable token endpoint is an outage like any other.
        """
        line.readiness.extend([ConnectionFailed(), ServiceUnavailable(), Throttled()])
        async with SendQueue(line) as queue:
            assert "id-a" == await queue.send(sms("a"))

        assert 7 == pytest.approx(now(), abs=0.1)

    async def test_what_may_have_been_sent_is_not_called_unsent(self, line):
        """
        Once unknown, and closed before it was sent again: still unknown, to all who are told.
        """
        told = []
        line.answers.extend([OutcomeUnknown(), ConnectionFailed()])
        async with SendQueue(line, on_outcome=told.append) as queue:
            future = await queue.submit(sms(), on_unknown="resend")
            await asyncio.sleep(0.5)
            await queue.aclose(drain=False)

        assert isinstance(future.exception(), OutcomeUnknown)
        assert [(State.UNKNOWN, future.exception())] == [(each.state, each.error) for each in told]
        assert 1 == queue.statistics().unknown

    async def test_closed_in_the_instant_of_a_slot(self, line):
        """
        What its owner was told was not sent is not sent.
        """
        line.pacer = pacer = Pacer(5)
        granted = asyncio.Event()
        pacer.slot = lambda: wait_for(granted)
        async with SendQueue(line) as queue:
            future = await queue.submit(sms("a"))
            await anyio.wait_all_tasks_blocked()
            granted.set()
            await queue.aclose(drain=False)

        assert isinstance(future.exception(), QueueClosed)
        assert [] == line.texts

    async def test_a_scope_around_the_queue_cuts_no_request(self, line):
        """
        Leaving through an anyio scope waits for what is on the wire, too.
        """
        line.delay = 1.0
        with anyio.move_on_after(0.2):
            async with SendQueue(line) as queue:
                future = queue.submit_nowait(sms("a"))
                await asyncio.sleep(10)

        assert "id-a" == future.result()

    async def test_two_drains_last_as_long_as_one(self, line):
        """
        Neither cuts the other while messages are accepted.
        """
        async with SendQueue(line) as queue:
            for n in range(600):
                await queue.submit(sms(str(n)))
            await asyncio.gather(queue.aclose(), queue.aclose())

        assert 600 == len(line.accepted)

    async def test_a_closed_queue_holds_nothing(self, line):
        """
        What was not sent does not wait any more.
        """
        async with SendQueue(line) as queue:
            for n in range(5):
                await queue.submit(sms(str(n)))
            await queue.aclose(drain=False)

        assert 0 == sum(queue.statistics().waiting.values())
        assert queue.statistics().estimated_end is None

    async def test_opened_in_one_task_and_closed_in_another(self, line):
        """
        As pytest's yield fixtures do.
        """
        queue = SendQueue(line)
        await asyncio.create_task(queue.__aenter__())
        future = await queue.submit(sms("a"))
        await asyncio.create_task(queue.__aexit__(None, None, None))

        assert "id-a" == future.result()

    async def test_a_queue_outside_its_block(self, line):
        """
        It says what to do, admits nothing that a block would send later, and opens once.
        """
        queue = SendQueue(line)
        with pytest.raises(RuntimeError, match="async with"):
            await queue.submit(sms("a"))
        with pytest.raises(RuntimeError, match="async with"):
            queue.submit_nowait(sms("a"))
        async with queue:
            await queue.send(sms("b"))
            with pytest.raises(RuntimeError, match="once"):
                await queue.__aenter__()

        assert ["b"] == line.texts

    async def test_closing_twice_and_at_once(self, line):
        """
        Whoever closes second waits for the same end.
        """
        async with SendQueue(line) as queue:
            future = await queue.submit(sms("a"))
            await asyncio.gather(queue.aclose(), queue.aclose())

        assert "id-a" == future.result()

    def test_a_loop_that_ends_resolves_every_future(self):
        """
        Ctrl-C ends the loop's tasks: what was on the wire is unknown, the rest was not sent.
        """
        line, kept = Line(delay=5), []

        async def interrupted():
            queue = await SendQueue(line).__aenter__()
            kept.extend([await queue.submit(sms(text)) for text in "ab"])
            await asyncio.sleep(0.05)

        asyncio.run(interrupted())

        assert [OutcomeUnknown, QueueClosed] == [type(future.exception()) for future in kept]


class TestStatistics:
    async def test_statistics_are_a_value(self, line):
        """
        A queue can be printed at any moment.
        """
        line.delay = 1.0
        line.answers.extend([None, RequestRejected(), OutcomeUnknown()])
        async with SendQueue(line) as queue:
            for n in range(100):
                queue.submit_nowait(sms(str(n)), priority=Priority.BULK)
            await asyncio.sleep(2.05)
            seen = queue.statistics()
            await queue.aclose(drain=False)

        assert (4, 1, 1) == (seen.sent, seen.failed, seen.unknown)
        assert 5 == seen.in_flight
        assert 100 - 11 == seen.waiting[Priority.BULK]
        assert seen.estimated_end - later(queue, 0) < timedelta(seconds=89 / seen.pace)

    async def test_a_waiting_message_is_small(self, line):
        """
        100,000 waiting messages fit a small server: less than 1.5 KiB each.
        """
        import tracemalloc

        async with SendQueue(line, capacity=10_000) as queue:
            tracemalloc.start()
            for n in range(10_000):
                queue.submit_nowait(sms(f"Votre code est {n:06}. Ne le partagez pas."))
            size, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            await queue.aclose(drain=False)

        assert 1_536 > size / 10_000

    def test_a_lane_has_room(self, line):
        """
        A capacity of nothing, and nobody to send, are mistakes, found at once.
        """
        with pytest.raises(ValueError, match="capacity"):
            SendQueue(line, capacity=0)
        with pytest.raises(ValueError, match="workers"):
            SendQueue(line, workers=0)


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
