"""A reference is one message, for as long as the file knows it."""

import asyncio
import contextlib
import math
import time

import pytest
from disk import leave, outcomes
from line import Line, named, sms
from times import later

from orange_sms_async import (
    ContractRefused,
    InvalidMessage,
    MessageExpired,
    MessageWithdrawn,
    OutcomeUnknown,
    Priority,
    QueueFull,
    Refused,
    RequestRejected,
    SendQueue,
)
from orange_sms_async.errors import OutboxUnusable
from orange_sms_async.outbox import Entry
from orange_sms_async.outbox.sqlite import SqliteOutbox
from orange_sms_async.outcomes import State

ERRORS = [
    (RequestRejected("no", status_code=400, code="SVC0002", request_id="r-1"), State.FAILED),
    (ContractRefused("no", status_code=403, code="POL0001", request_id="r-2"), State.FAILED),
    (OutcomeUnknown("well", status_code=500, code=1, request_id="r-3"), State.UNKNOWN),
    (OutcomeUnknown("well"), State.UNKNOWN),
]


class TestReferences:
    async def test_submitted_again_while_it_waits_or_is_on_the_wire(self, line, opened):
        """
        One reference is one message, wherever it is on its way.
        """
        line.delay = 1.0
        async with opened() as queue:
            first = await queue.submit(named("a"))
            second = await queue.submit(named("a"))
            await asyncio.sleep(0.5)
            assert State.SENDING is (await queue.outcome("a")).state

            third = await queue.submit(named("a"))
            assert ["id-a"] * 3 == [*await asyncio.gather(first, second, third)]
        assert ["a"] == line.texts

    @pytest.mark.parametrize("again", ["same queue", "restarted"])
    async def test_submitted_again_when_it_was_sent(self, line, opened, again):
        """
        Its resource id comes at once, and nothing leaves.
        """
        async with opened() as queue:
            await queue.send(named("a"))
            if again == "same queue":
                assert "id-a" == (await queue.submit(named("a"))).result()
        async with opened() as queue:
            assert "id-a" == (await queue.submit(named("a"))).result()
            assert "id-a" == await queue.submit_nowait(named("a"))

        assert ["a"] == line.texts

    @pytest.mark.parametrize(("error", "state"), ERRORS)
    @pytest.mark.parametrize("again", ["same queue", "restarted"])
    async def test_submitted_again_when_it_failed(self, line, opened, error, state, again):
        """
        What became of it is raised again, with what Orange's support asks for.
        """
        line.answers.append(error)
        async with contextlib.AsyncExitStack() as stack:
            queue = await stack.enter_async_context(opened())
            await queue.submit(named("a"))
            await queue.join()
            if again == "restarted":
                await queue.aclose()
                queue = await stack.enter_async_context(opened())
            raised = (await queue.submit(named("a"))).exception()
            outcome = await queue.outcome("a")

        assert (type(error), str(error)) == (type(raised), str(raised))
        assert state is outcome.state
        for name in ("status_code", "code", "request_id"):
            assert getattr(error, name) == getattr(raised, name)
        assert ["a"] == line.texts

    async def test_why_a_contract_was_refused_is_remembered(self, line, opened):
        """
        The errors' own attributes come back, too.
        """
        refused, unread = ContractRefused("no"), OutcomeUnknown("unreadable")
        refused.reason, unread.accepted = "Expired contract", True
        line.answers.extend([refused, unread])
        async with opened() as queue:
            await queue.submit(named("a"))
            await queue.submit(named("b"))
            await queue.aclose()
        async with opened() as queue:
            assert "Expired contract" == (await queue.outcome("a")).error.reason
            assert (await queue.outcome("b")).error.accepted
            await queue.aclose()

    async def test_an_error_of_somebodys_own_class(self, line, opened):
        """
        It comes back as the nearest of ours.
        """

        class Blacklisted(Refused):
            pass

        line.answers.append(Blacklisted("no"))
        async with opened() as queue:
            await queue.submit(named("a"))
            await queue.aclose()
        async with asyncio.timeout(60), opened() as queue:
            raised = (await queue.submit(named("a"))).exception()
            await queue.aclose()

        assert (Refused, "no") == (type(raised), str(raised))

    @pytest.mark.parametrize("state", [State.EXPIRED, State.WITHDRAWN])
    async def test_submitted_again_when_it_never_left(self, line, opened, state):
        """
        Expired and withdrawn are outcomes like any other, kept like any other.
        """
        async with opened() as queue:
            if state is State.EXPIRED:
                await queue.submit(named("a"), expires_at=later(queue, -1))
            else:
                await queue.submit(named("a"), not_before=later(queue, 60))
                assert await queue.withdraw("a")
        async with opened() as queue:
            raised = (await queue.submit(named("a"))).exception()
            assert state is (await queue.outcome("a")).state

        expected = {State.EXPIRED: MessageExpired, State.WITHDRAWN: MessageWithdrawn}[state]
        assert expected is type(raised)
        assert [] == line.left

    async def test_submitted_again_to_the_queue_that_goes_on_with_it(self, line, opened, path):
        """
        A restarted campaign submits its list again, and watches what waits or is on the wire.
        """
        line.delay = 1.0
        await leave(path, *(Entry(named(text), Priority.NORMAL) for text in "ab"))
        async with opened() as queue:
            await asyncio.sleep(0.1)
            assert State.SENDING is (await queue.outcome("a")).state
            futures = [await queue.submit(named(text)) for text in "ab"]

            assert ["id-a", "id-b"] == await asyncio.gather(*futures)
        assert ["a", "b"] == line.texts

    async def test_on_the_wire_for_an_earlier_submit_and_then_closed(self, line, opened, path):
        """
        Its answer is waited for: it is not called unsent because this queue did not submit it.
        """
        line.delay = 1.0
        await leave(path, Entry(named("a"), Priority.NORMAL))
        async with opened() as queue:
            await asyncio.sleep(0.1)
            future = await queue.submit(named("a"))
            await queue.aclose(drain=False)

        assert "id-a" == future.result()

    async def test_submitted_in_the_instant_it_is_taken_and_then_closed(self, path):
        """
        Found waiting, and on the wire when that is heard: its answer is waited for all the same.
        """
        futures = []

        class Submitting(Line):
            async def ready(self):
                futures.append(queue.submit_nowait(named("a")))

        await leave(path, Entry(named("a"), Priority.NORMAL))
        queue = SendQueue(Submitting(delay=1.0).paced(math.inf), outbox=SqliteOutbox(path))
        async with queue:
            await asyncio.sleep(0.1)
            await queue.aclose(drain=False)

        assert ["id-a"] == [future.result() for future in futures]

    @pytest.mark.parametrize("when", ["waiting", "finished", "restarted"])
    @pytest.mark.parametrize("other", [{"text": "autre"}, {"to": "+221770001122"}])
    async def test_with_another_number_or_text(self, opened, when, other):
        """
        A reference that means two messages is a mistake, found before it is made.
        """
        message = {"to": "+2250701020304", "text": "a"} | other
        changed = type(sms())(message["to"], message["text"], reference="a")
        async with contextlib.AsyncExitStack() as stack:
            queue = await stack.enter_async_context(opened())
            due = later(queue, 60) if when == "waiting" else None
            await queue.submit(named("a"), not_before=due)
            if when != "waiting":
                await queue.join()
            if when == "restarted":
                await queue.aclose()
                queue = await stack.enter_async_context(opened())
            with pytest.raises(InvalidMessage, match="reference"):
                await queue.submit(changed)

            assert {"a"} == (await outcomes(queue)).keys()
            await queue.aclose(drain=False)

    async def test_what_is_known_takes_no_place(self, opened, path):
        """
        A list submitted again does not fill the lane.
        """
        await leave(path, Entry(named("x"), Priority.NORMAL, not_before=time.time() + 600))
        async with opened(capacity=1) as queue:
            await queue.send(named("a"))
            for text in "axaxax":
                await asyncio.wait_for(queue.submit(named(text)), 1)
            queue.submit_nowait(named("y"), not_before=later(queue, 60))
            with pytest.raises(QueueFull):
                queue.submit_nowait(named("z"))
            await queue.aclose(drain=False)

    @pytest.mark.parametrize("reference", ["\ud800", "nul\0nul", "x" * 100_000, "' OR 1=1 --"])
    async def test_references_nobody_would_choose(self, opened, reference):
        """
        One that the file cannot hold is refused alone; nobody else's message is held up.
        """
        async with asyncio.timeout(60), opened() as queue:
            with contextlib.suppress(InvalidMessage, OutboxUnusable):
                assert "id-odd" == await queue.send(sms("odd", reference=reference))
                assert State.SENT is (await queue.outcome(reference)).state

            assert "id-a" == await queue.send(named("a"))
