"""What a queue tells as it happens."""

import asyncio
import contextlib
import sqlite3

import pytest
from line import Line, named, sms

from orange_sms_async import (
    ConnectionFailed,
    OutcomeUnknown,
    Priority,
    RequestRejected,
    SendQueue,
    ServiceUnavailable,
    SqliteOutbox,
    Throttled,
)
from orange_sms_async.events import (
    Admitted,
    Answered,
    Claimed,
    GoingOn,
    Left,
    PaceChanged,
    PutBack,
    Settled,
    Waiting,
    WaitingFor,
)


def kinds(told):
    return [type(event) for event in told]


@pytest.mark.parametrize("durable", [False, True])
async def test_the_way_of_a_message(line, path, durable):
    """
    Admitted, claimed, left, answered, settled; each once, in this order.
    """
    told, outbox = [], SqliteOutbox(path) if durable else None
    async with SendQueue(line, outbox=outbox, on_event=told.append) as queue:
        await queue.send(named("a"), priority=Priority.URGENT)

    assert [Admitted, Claimed, Left, Answered, Settled] == kinds(told)
    assert {"a"} == {event.message.reference for event in told[:-1]}
    assert (Priority.URGENT, 1) == (told[1].priority, told[1].attempt)
    assert ("id-a", None) == (told[3].sent.resource_id, told[3].error)
    assert "a" == told[4].outcome.reference
    assert told[0].message == told[4].message


@pytest.mark.parametrize("submitted", [True, False])
async def test_what_is_known_of_a_message_that_is_settled(opened, path, submitted):
    """
    Where it was submitted also since when it could leave; where it was only sent, the message.
    """
    told = []
    sending = opened(on_event=told.append)
    asking = SendQueue(None, outbox=SqliteOutbox(path))
    async with asking, sending:
        await (sending if submitted else asking).send(named("a"))

    [settled] = [event for event in told if isinstance(event, Settled)]
    assert "a" == settled.message.reference
    assert submitted is (settled.ready_at is not None)


async def test_what_is_not_sent_is_put_back_and_claimed_again(line):
    """
    It never left; its next attempt is its second.
    """
    told = []
    line.answers.append(ConnectionFailed())
    async with SendQueue(line, on_event=told.append) as queue:
        await queue.send(sms("a"))

    attempts = [(type(event), event.attempt) for event in told if hasattr(event, "attempt")]
    assert [(Claimed, 1), (Answered, 1), (PutBack, 1)] == attempts[:3]
    assert [(Claimed, 2), (Left, 2), (Answered, 2)] == attempts[3:]


async def test_a_claim_that_others_have_ended_is_given_up(opened, line, path):
    """
    What listens may forget what it held of a claim: each is settled here, or put back.
    """
    line.delay, told = 10.0, []
    async with opened(on_event=told.append) as queue:
        await queue.submit(named("a"))
        await asyncio.sleep(1)
        with contextlib.closing(sqlite3.connect(path)) as db, db:
            db.execute("UPDATE message SET state = 'withdrawn'")
        await asyncio.sleep(10)

    assert [Admitted, Claimed, Left, Answered, PutBack] == kinds(told)


@pytest.mark.parametrize("error", [RequestRejected(), OutcomeUnknown(), RuntimeError()])
async def test_whatever_an_attempt_comes_to_is_told(line, error):
    """
    What a custom client raises is an unknown outcome.
    """
    told = []
    line.answers.append(error)
    async with SendQueue(line, on_event=told.append) as queue:
        await asyncio.wait({await queue.submit(sms("a"))})

    [answered] = [event for event in told if isinstance(event, Answered)]
    assert isinstance(answered.error, RequestRejected | OutcomeUnknown)
    assert [Left, Answered, Settled] == kinds(told)[-3:]


@pytest.mark.parametrize(
    ("error", "reason", "words"),
    [
        (ConnectionFailed(), WaitingFor.LINE, "no connection to Orange (ConnectionFailed)"),
        (
            ServiceUnavailable(),
            WaitingFor.ORANGE,
            "Orange is over capacity or gives no token (ServiceUnavailable)",
        ),
    ],
)
@pytest.mark.parametrize("at", ["token", "message"])
async def test_waiting_is_told_once_and_so_is_going_on(line, error, reason, words, at):
    """
    However often it is tried meanwhile; until then nothing leaves, and statistics say so.
    """
    told, seen = [], []
    (line.readiness if at == "token" else line.answers).extend([error] * 3)
    async with SendQueue(line, on_event=told.append) as queue:
        future = await queue.submit(sms("a"))
        await asyncio.sleep(2)
        seen.append(queue.statistics())
        await future
        seen.append(queue.statistics())

    waited = [event for event in told if isinstance(event, Waiting | GoingOn)]
    assert [Waiting(reason=reason, error=error, words=words), GoingOn(reason=reason)] == waited
    assert [reason, None] == [each.waiting_for for each in seen]
    assert seen[0].estimated_end is None


async def test_nothing_to_send_is_nothing_to_wait_for(line):
    """
    The last message was withdrawn while the line was away.
    """
    told = []
    line.answers.append(ConnectionFailed())
    async with SendQueue(line, on_event=told.append) as queue:
        await queue.submit(sms("a", reference="a"))
        await asyncio.sleep(0.5)
        assert await queue.withdraw("a")
        await asyncio.sleep(5)

        assert queue.statistics().waiting_for is None
    assert GoingOn in kinds(told)


async def test_a_throttled_message_changes_the_pace(line):
    """
    By a whole step, and the statistics count it.
    """
    told = []
    line.answers.append(Throttled())
    async with SendQueue(line, on_event=told.append) as queue:
        await queue.send(sms("a"))
        [changed] = [event for event in told if isinstance(event, PaceChanged)]

        assert 1 == queue.statistics().throttled
    assert 0.02 == pytest.approx(changed.guard)
    assert changed.pace == pytest.approx(5 / 1.02)


async def test_a_listener_that_raises_stops_nothing(line, caplog):
    """
    It is logged by its class alone: its words may hold anything.
    """

    def listener(event):
        raise ValueError("+2250701020304")

    async with SendQueue(line, on_event=listener) as queue:
        assert "id-a" == await queue.send(sms("a"))

    assert "on_event raised ValueError" in caplog.text
    assert "+225" not in caplog.text


def test_a_queue_is_made_where_no_loop_runs():
    """
    When a module is imported, for example; only its block needs a loop.
    """
    queue = SendQueue(Line())

    async def use() -> str:
        async with queue:
            return await queue.send(sms("a"))

    assert "id-a" == asyncio.run(use())


async def test_terms_that_are_none(line):
    """
    A misspelt keyword is refused before anything is admitted.
    """
    async with SendQueue(line) as queue:
        with pytest.raises(TypeError, match="expire_at"):
            await queue.submit(sms("a"), expire_at=None)  # type: ignore[call-arg]

    assert [] == line.left


async def test_two_event_loops_at_a_time_share_no_pace(line):
    """
    Nobody could say which request left first.
    """
    await line.pacer.slot()

    def elsewhere() -> None:
        asyncio.run(line.pacer.slot())

    with pytest.raises(RuntimeError, match="another event loop"):
        await asyncio.to_thread(elsewhere)
