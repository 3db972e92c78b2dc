"""Files of an earlier version go on, and files made at once are one file."""

import asyncio
import contextlib
import subprocess
import sys

import pytest
from line import named
from receipt import NUMBER, receipt
from times import emptied

from orange_sms_async import OutcomeUnknown, SendQueue
from orange_sms_async.errors import OutboxUnusable
from orange_sms_async.outbox.sqlite.database import connect
from orange_sms_async.outbox.sqlite.schema import OUTBOX, Format
from orange_sms_async.outcomes import State


@pytest.fixture
def earlier(path):
    """A file that the first version of the schema left: one message in each state."""
    first = Format(OUTBOX.name, OUTBOX.application_id, OUTBOX.versions[:1])
    with contextlib.closing(connect(path, first)) as opened:
        for state in State:
            opened.db.execute(
                "INSERT INTO message (reference, state, priority, not_before, expires_at, "
                "on_unknown, recipient, text, sender_address, on_net, resource_id, error, reason) "
                "VALUES (:state, :state, 1, 0, 9e999, 'report', :to, :state, 'tel:+2250000', 0, "
                ":id, :error, :error)",
                {
                    "state": state,
                    "to": NUMBER,
                    "id": "id-sent" if state is State.SENT else None,
                    "error": {State.UNKNOWN: "OutcomeUnknown", State.FAILED: "Refused"}.get(state),
                },
            )
    return path


async def test_a_file_of_the_first_version_goes_on(line, earlier, opened):
    """
    Nothing in it is lost, and its messages take receipts.
    """
    async with opened() as queue:
        await emptied(queue)
        await queue.keep(receipt("id-sent"))
        states = {outcome.reference: outcome.state async for outcome in queue.outcomes()}

        assert (await queue.delivered("sent")).delivered
    sent = {"scheduled", "queued", "sent"}
    assert {state.value: "sent" if state in sent else state for state in State} | {
        "sending": "unknown"
    } == states
    assert {"scheduled", "queued"} == set(line.texts)


async def test_what_it_does_not_know_is_left_to_a_person(line, outbox, earlier):
    """
    When its unknown messages left was not kept then, so that any receipt may be theirs.
    """
    async with SendQueue(line, outbox=outbox) as queue:
        await emptied(queue)
        line.answers.append(OutcomeUnknown())
        await asyncio.wait({await queue.submit(named("new"))})
        assert await queue.keep(receipt("81e4")) is None

        assert State.UNKNOWN is (await queue.outcome("unknown")).state
        assert State.UNKNOWN is (await queue.outcome("new")).state
        assert [] == await outbox.perhaps_of("unknown")


async def test_it_is_written_once_and_for_all(earlier, opened):
    """
    Opened again, it is a file as any other; an older program is told that it is newer.
    """
    for _ in range(2):
        async with opened():
            pass
    first = Format(OUTBOX.name, OUTBOX.application_id, OUTBOX.versions[:1])
    with pytest.raises(OutboxUnusable, match="newer version"):
        connect(earlier, first)


WORKER = """
import sys
from pathlib import Path
from orange_sms_async.outbox.sqlite.database import connect
from orange_sms_async.outbox.sqlite.schema import RECEIPTS

input()
for n in range(40):
    connect(Path(sys.argv[1]) / f"{n}.db", RECEIPTS).close()
"""


def test_workers_that_start_together_share_a_file(tmp_path):
    """
    Each finds it missing, and whoever is not the first takes what the first made of it.
    """
    command = [sys.executable, "-c", WORKER, str(tmp_path)]
    workers = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(4)]
    for worker in workers:
        worker.stdin.write(b"now\n")
        worker.stdin.close()

    assert [0] * 4 == [worker.wait(30) for worker in workers]
