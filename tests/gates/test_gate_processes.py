"""One rule in several processes that share an outbox: the last place is had by one of them."""

import asyncio
import subprocess
import sys

import pytest
from line import Line, named
from times import emptied

from orange_sms_async import PostgresOutbox, Priority, SendQueue, SqliteOutbox
from orange_sms_async.outcomes import State

pytestmark = pytest.mark.real_time

GATE = """
from datetime import timedelta
from orange_sms_async import OutboundMessage, PostgresOutbox, Priority, SendQueue, SqliteOutbox
from orange_sms_async import Withheld, gates

def gate():
    codes = gates.PerRecipient(3, timedelta(minutes=10), lanes=[Priority.URGENT])
    budget = gates.Budget(20, timedelta(days=1), reserved=10)
    return gates.all_of(codes, budget)
"""
SUBMITTER = f"""{GATE}
import asyncio, sys

place, me, lane, many = sys.argv[1:]
outbox = PostgresOutbox(place) if place.startswith("postgresql:") else SqliteOutbox(place)
lane = Priority[lane]

async def submit(queue, n):
    to = "+2250701020304" if lane is Priority.URGENT else f"+22507000{{me}}{{n:04}}"
    try:
        message = OutboundMessage(to, "x", reference=f"{{lane}}-{{me}}-{{n}}")
        await queue.submit(message, priority=lane)
    except Withheld as withheld:
        return withheld.rule
    return "admitted"

async def main():
    async with SendQueue(None, outbox=outbox, gate=gate()) as queue:
        print("open", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        print(*await asyncio.gather(*(submit(queue, n) for n in range(int(many)))), sep=",")

asyncio.run(main())
"""


@pytest.fixture(params=["sqlite", "postgres"])
def place(request, path):
    return str(path) if request.param == "sqlite" else request.getfixturevalue("migrated")


@pytest.fixture
def migrated(empty):
    from fleet_store import apart

    from orange_sms_async.outbox.postgres import migrating

    apart(migrating.migrate(empty))
    return empty


def outbox_at(place):
    return PostgresOutbox(place) if place.startswith("postgresql:") else SqliteOutbox(place)


def submitted(place, processes, lane, many):
    """Submit in several processes at once; what became of each message."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", SUBMITTER, place, str(me), lane, str(many)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for me in range(processes)
    ]
    assert ["open\n"] * processes == [process.stdout.readline() for process in started]
    said = []
    for process in started:
        process.stdin.write("now\n")
        process.stdin.flush()
    for process in started:
        said += process.communicate()[0].strip().split(",")
        assert 0 == process.returncode
    return said


async def test_the_fourth_code_whichever_process_submits_it(place):
    """
    Three of sixteen pass, and three are sent.
    """
    async with SendQueue(None, outbox=outbox_at(place)):  # who comes first makes the file
        said = await asyncio.to_thread(submitted, place, 4, "URGENT", 4)
    namespace = {}
    exec(GATE, namespace)
    async with SendQueue(
        line := Line().paced(1000 if "postgresql" not in place else 5),
        outbox=outbox_at(place),
        gate=namespace["gate"](),
    ) as queue:
        await emptied(queue)

    assert (3, 13) == (said.count("admitted"), said.count("per recipient"))
    assert 3 == len(line.accepted)


async def test_the_last_units_are_for_codes(place):
    """
    All campaigns together have ten of the twenty; the codes have theirs.
    """
    async with SendQueue(None, outbox=outbox_at(place)):
        campaigns = await asyncio.to_thread(submitted, place, 3, "BULK", 6)
        codes = await asyncio.to_thread(submitted, place, 1, "URGENT", 3)

    assert (10, 8) == (campaigns.count("admitted"), campaigns.count("budget"))
    assert ["admitted"] * 3 == codes


async def test_what_met_no_gate_meets_it_before_it_leaves(path):
    """
    Put into the file by code that has no queue.
    """
    outbox = SqliteOutbox(path)
    for n in range(5):
        outbox.put(named(f"{n}"), priority=Priority.URGENT)
    namespace = {}
    exec(GATE, namespace)
    async with SendQueue(line := Line(), outbox=outbox, gate=namespace["gate"]()) as queue:
        await emptied(queue)
        failed = [outcome.error.rule async for outcome in queue.outcomes(State.FAILED)]

    assert ["per recipient"] * 2 == failed
    assert ["0", "1", "2"] == line.texts
