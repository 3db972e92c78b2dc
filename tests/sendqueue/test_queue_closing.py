"""Leaving the block drains the queue; every future is done afterwards."""

import asyncio
import contextlib
import math

import anyio
import pytest
from line import Line, sms
from times import now

from orange_sms_async import (
    AccessDenied,
    AuthenticationFailed,
    ConnectionFailed,
    OutcomeUnknown,
    Pacer,
    QueueClosed,
    SendQueue,
    ServiceUnavailable,
    Throttled,
)
from orange_sms_async.outcomes import State


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
        assert ["nothing more is sent: the queue stopped: KeyError"] == caplog.messages

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
        pacer.slot = lambda: wait_for(granted)  # type: ignore[method-assign]
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


async def wait_for(event: asyncio.Event) -> float:
    await event.wait()
    return now()
