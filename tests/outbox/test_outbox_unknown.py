"""Messages of unknown outcome: a person resolves them, or they are sent once more."""

import asyncio
import contextlib

import pytest
from disk import MONTH, Peeking, begin, crash, leave
from line import Line, named
from times import emptied, later

from orange_sms_async import (
    ConnectionFailed,
    OutcomeUnknown,
    Priority,
    RequestRejected,
    ResourceId,
    SendQueue,
    ServiceUnavailable,
)
from orange_sms_async.outbox import Entry
from orange_sms_async.outbox.sqlite import SqliteOutbox
from orange_sms_async.outcomes import State


class TestUnknown:
    async def test_resolved_as_sent(self, line, opened):
        """
        Who found it in Orange's books says so, and every asker hears it.
        """
        line.answers.append(OutcomeUnknown())
        async with opened() as queue:
            await queue.submit(named("a"))
            await queue.join()
            assert await queue.resolve("a", sent=ResourceId("found"))
            assert not await queue.resolve("a", sent=None)
        async with opened() as queue:
            outcome = await queue.outcome("a")

            assert (State.SENT, "found", None) == (
                outcome.state,
                outcome.resource_id,
                outcome.error,
            )
            assert "found" == await queue.send(named("a"))
        assert ["a"] == line.texts

    @pytest.mark.parametrize("when", ["same queue", "restarted"])
    async def test_resolved_as_not_sent(self, line, opened, when):
        """
        It waits again, in its old place, and is sent.
        """
        line.answers.append(OutcomeUnknown())
        async with contextlib.AsyncExitStack() as stack:
            queue = await stack.enter_async_context(opened())
            await queue.submit(named("a"))
            await queue.join()
            if when == "restarted":
                await queue.aclose()
                queue = await stack.enter_async_context(opened())
            assert await queue.resolve("a", sent=None)

            assert "id-a" == await queue.send(named("a"))
            assert None is (await queue.outcome("a")).error
        assert ["a", "a"] == line.texts

    @pytest.mark.parametrize("state", ["sent", "failed", "scheduled"])
    async def test_only_what_is_unknown_is_resolved(self, line, opened, state):
        """
        A person cannot overrule what is certain.
        """
        line.answers.extend([RequestRejected()] if state == "failed" else [])
        async with opened() as queue:
            due = later(queue, 60) if state == "scheduled" else None
            future = await queue.submit(named("a"), not_before=due)
            if due is None:
                await asyncio.wait({future})

            assert not await queue.resolve("a", sent=ResourceId("x"))
            assert not await queue.resolve("a", sent=None)
            assert state == (await queue.outcome("a")).state
            await queue.aclose(drain=False)

    async def test_sent_once_more_for_who_prefers_two_to_none(self, line, opened):
        """
        An unknown outcome is followed by one more attempt.
        """
        line.answers.append(OutcomeUnknown())
        async with opened() as queue:
            assert "id-a" == await queue.send(named("a"), on_unknown="resend")

        assert ["a", "a"] == line.texts
        assert line.times[1] - line.times[0] >= 0.2

    async def test_and_never_more_than_once(self, line, opened):
        """
        Unknown twice is unknown, also when it was not taken in between.
        """
        line.answers.extend([OutcomeUnknown(), ServiceUnavailable(), OutcomeUnknown()])
        async with opened() as queue:
            with pytest.raises(OutcomeUnknown):
                await queue.send(named("a"), on_unknown="resend")

        assert ["a", "a", "a"] == line.texts

    async def test_sent_once_more_after_a_crash_and_not_after_the_next(self, path):
        """
        The one resend is counted in the file, before it leaves.
        """
        first, second, third = Peeking(path), Peeking(path), Line()
        async with SendQueue(first, outbox=SqliteOutbox(path)) as queue:
            await queue.send(named("a"), on_unknown="resend")
        second.path = first.crashes[0]
        async with SendQueue(second, outbox=SqliteOutbox(second.path)) as queue:
            assert [] == queue.recovered
            await emptied(queue)
        async with SendQueue(third, outbox=SqliteOutbox(second.crashes[0])) as queue:
            [recovered] = queue.recovered

        assert (["a"], []) == (second.texts, third.texts)
        assert State.UNKNOWN is recovered.state

    @pytest.mark.parametrize("end", ["expired", "withdrawn", "refused"])
    async def test_what_may_have_left_is_never_called_unsent(self, line, opened, end):
        """
        If the resend comes to nothing, the first attempt is still in doubt.
        """
        line.answers.extend([OutcomeUnknown(), ConnectionFailed(), RequestRejected()])
        async with opened() as queue:
            expiry = later(queue, 0.5) if end == "expired" else None
            future = await queue.submit(named("a"), on_unknown="resend", expires_at=expiry)
            await asyncio.sleep(0.3)  # once unknown, once not sent: it waits
            if end == "withdrawn":
                assert not await queue.withdraw("a")
            await asyncio.wait({future})

            assert State.UNKNOWN is (await queue.outcome("a")).state
        assert isinstance(future.exception(), OutcomeUnknown)

    async def test_what_may_have_left_before_a_crash_does_not_expire(self, path):
        """
        Wanted twice rather than never, too late for the second: unknown, not expired.
        """
        line = Peeking(path)
        await leave(path, Entry(named("a"), Priority.NORMAL, on_unknown="resend", expires_at=10.0))
        outbox = SqliteOutbox(path)
        await begin(outbox, 0.0, MONTH)
        await outbox.claim(0.0)
        copy = crash(path)
        await outbox.aclose()
        async with SendQueue(line, outbox=SqliteOutbox(copy)) as queue:
            assert [State.UNKNOWN] == [outcome.state for outcome in queue.recovered]


async def test_what_was_taken_for_certain_is_not_sent_again(line, path):
    """
    A 201 without an id is in no doubt, whatever was asked for when it is.
    """
    taken = OutcomeUnknown()
    taken.accepted = True
    line.answers.append(taken)
    async with SendQueue(line, outbox=SqliteOutbox(path)) as queue:
        with pytest.raises(OutcomeUnknown):
            await queue.send(named("a"), on_unknown="resend")

    assert ["a"] == line.texts


async def test_resolving_is_done_whoever_goes_away(line, path):
    """
    Cancelled in the middle of its commit, the message waits again and is sent.
    """
    line.answers.append(OutcomeUnknown())
    async with SendQueue(line, outbox=SqliteOutbox(path)) as queue:
        future = await queue.submit(named("a"))
        await asyncio.wait({future})
        resolving = asyncio.create_task(queue.resolve("a", sent=None))
        await asyncio.sleep(0)
        resolving.cancel()
        await asyncio.sleep(1)
        await queue.send(named("b"))

    assert ["a", "a", "b"] == line.texts
