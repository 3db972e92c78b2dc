"""A receipt that may be of what another queue of this process sent settles nothing here."""

import asyncio
import tracemalloc

import pytest
from line import Line, named, sms
from orange import MESSAGE, Orange
from receipt import NUMBER, OTHER, receipt

from orange_sms_async import OutcomeUnknown, SendQueue, State
from orange_sms_async.clock import JumpingLoop
from orange_sms_async.outbox.sqlite import SqliteOutbox

HOUR = 3_600


@pytest.fixture
async def queue(line, opened):
    """A queue with one message to the number, of which nobody knows whether it was sent."""
    line.answers.append(OutcomeUnknown())
    async with opened() as queue:
        await queue.submit(named("unknown"))
        await queue.join()
        yield queue


async def elsewhere(line, *messages, outbox=None):
    """Send messages through another queue on the same account."""
    async with SendQueue(line, outbox=outbox) as other:
        for message in messages:
            await other.submit(message)
        await other.join()


async def test_what_another_queue_got_accepted(line, queue):
    """
    Its receipt looks just like one of the unknown message.
    """
    await elsewhere(line, sms("other"))

    assert await queue.keep(receipt("id-other")) is None
    assert State.UNKNOWN is (await queue.outcome("unknown")).state


async def test_what_was_sent_before_ten_thousand_others(line, queue):
    """
    Numbers are packed, and still recognised.
    """
    await elsewhere(line, sms("other"))
    for other in range(10_000):
        line.pacer.account.sends(f"+22505{other:08}", None)

    assert await queue.keep(receipt("id-other")) is None


async def test_a_hundred_thousand_numbers_take_little_room(line):
    """
    A campaign remembers them for a day.
    """
    tracemalloc.start()
    try:
        for other in range(100_000):
            line.pacer.account.sends(f"+22505{other:08}", None)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert 0.5 < taken / 2**20 < 1.5


async def test_what_another_file_has_unknown(line, queue, tmp_path):
    """
    Its id is known to nobody.
    """
    line.answers.append(OutcomeUnknown())
    await elsewhere(line, sms("other"), outbox=SqliteOutbox(tmp_path / "other.db"))

    assert await queue.keep(receipt("id-other")) is None


async def test_a_receipt_that_comes_before_its_answer(line, queue):
    """
    Its message is on the wire, in the other queue.
    """
    line.delay = 10
    async with SendQueue(line) as other:
        await other.submit(sms("other"))
        await asyncio.sleep(5)

        assert await queue.keep(receipt("id-other")) is None


async def test_what_left_without_a_queue():
    """
    `client.send` sends on the same account.
    """
    orange = Orange()
    async with orange.client() as client:
        await client.send(MESSAGE)
        number = receipt("id").address.removeprefix("tel:")

        assert NUMBER == number
        assert not client.pacer.account.as_kept(receipt("id"), "a queue's outbox").address


async def test_what_a_later_process_makes_of_it(line, queue, opened):
    """
    It remembers no other queue, and the receipt still settles nothing.
    """
    await elsewhere(line, sms("other"))
    await queue.keep(receipt("id-other"))
    await queue.aclose()
    async with SendQueue(Line(), outbox=queue._outbox) as later:
        await later.send(named("next"))

        assert State.UNKNOWN is (await later.outcome("unknown")).state


@pytest.mark.parametrize("case", ["another number", "a day ago", "the same file"])
async def test_what_cannot_be_of_another_settles(line, opened, path, case):
    """
    As it does where there is one queue alone.
    """
    if case != "the same file":
        await elsewhere(line, sms("other") if case == "a day ago" else named("other", OTHER))
        await asyncio.sleep(25.1 * HOUR if case == "a day ago" else 0)
    line.answers.append(OutcomeUnknown())
    async with opened() as queue:
        await queue.submit(named("unknown"))
        await queue.join()
    async with opened() as queue:
        outcome = await queue.keep(receipt("id-unknown"))

    assert ("unknown", "receipt") == (outcome.reference, outcome.settled_by)


async def test_a_receipt_of_one_s_own_is_known_by_its_id(line, queue):
    """
    Whatever another queue sends to the number.
    """
    await queue.send(named("mine"))
    await elsewhere(line, sms("other"))
    outcome = await queue.keep(receipt("id-mine"))

    assert ("mine", f"tel:{NUMBER}") == (outcome.reference, outcome.delivery.address)


def test_a_second_event_loop_whose_clock_is_behind(line):
    """
    What was remembered on the first one's clock is forgotten, tokens included.
    """
    account = line.pacer.account

    async def first():
        await asyncio.sleep(HOUR)
        account.sends(NUMBER, None)
        for _ in range(50):
            account.ask_for_token()

    async def second():
        account.ask_for_token()
        return account.as_kept(receipt("id"), "a queue's outbox").address

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(first())
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        assert f"tel:{NUMBER}" == runner.run(second())
