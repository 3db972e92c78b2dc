"""
A sender is stopped between a claim and its request, and another goes on: nothing leaves late.

    python tests/stopped_fleet.py --seconds 60
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Literal

import asyncpg
import attrs
from fleet_store import apart
from line import most_in_a_second
from postgres_server import served_postgres
from torture import surroundings

from orange_sms_async import Client, ClientCredentials, PostgresOutbox, SendQueue
from orange_sms_async._served import Served
from orange_sms_async.events import Claimed, Event, Left
from orange_sms_async.outbox.postgres import migrating
from orange_sms_async.sandbox import Sandbox

Engine = Literal["httpx", "httpx2", "aiohttp"]
ENGINES: tuple[Engine, ...] = ("httpx", "httpx2", "aiohttp")
MESSAGES, RATE = 10, 5.0
_PATIENCE = 30.0  # seconds for what waits to be sent


@attrs.frozen(kw_only=True)
class Member:
    """
    What a process of the fleet is told.

    Attributes:
        stops: whether it stops itself with its first claim in hand.
    """

    dsn: str
    url: str
    authorization: str
    engine: Engine
    fence: float
    lease: float
    stops: bool = False


async def send(member: Member) -> None:
    ended, stops = asyncio.Event(), [member.stops]

    def hear(event: Event) -> None:
        if isinstance(event, Claimed | Left):
            words = time.monotonic(), type(event).__name__, event.message.reference, event.attempt
            os.write(1, f"{' '.join(map(str, words))}\n".encode())
        if isinstance(event, Claimed) and stops[0]:
            stops[0] = False
            os.kill(os.getpid(), signal.SIGSTOP)

    asyncio.get_running_loop().add_reader(0, ended.set)
    credentials = ClientCredentials.from_header(member.authorization)
    async with Client(credentials, base_url=member.url, engine=member.engine) as client:
        outbox = PostgresOutbox(member.dsn)
        outbox._fence, outbox._lease = member.fence, member.lease
        async with SendQueue(client, outbox=outbox, on_event=hear):
            await ended.wait()


class Process:
    def __init__(self, member: Member) -> None:
        command = [sys.executable, __file__, "--member", json.dumps(attrs.asdict(member))]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, text=True, env=surroundings()
        )

    def wait_until_stopped(self) -> None:
        os.waitpid(self._process.pid, os.WUNTRACED)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> list[tuple[float, str]]:
        """Let it end; return what it said, and when, on the machine's clock."""
        try:
            lines = self._process.communicate(timeout=_PATIENCE)[0].splitlines()
        finally:
            self._process.kill()
        return [(float(at), said) for at, said in (line.split(" ", 1) for line in lines)]


def stopped(
    dsn: str, *, engine: Engine, seconds: float, fence: float, lease: float
) -> tuple[Counter[str], list[str]]:
    """Stop a sender for so long; return the states in the end, and what was wrong."""
    sandbox = Sandbox(rate=None)
    with Served(sandbox) as served:
        member = Member(
            dsn=dsn,
            url=served.base_url,
            authorization=sandbox.authorization,
            engine=engine,
            fence=fence,
            lease=lease,
        )
        apart(_submit(dsn))
        first = Process(attrs.evolve(member, stops=True))
        first.wait_until_stopped()
        second = Process(member)
        time.sleep(seconds)
        if seconds > lease:
            apart(_taken_over(dsn))  # which a busy machine may do late
        first.go_on()
        states: dict[str, str] = {}
        apart(_settled(dsn, states))
        said = first.end()
        others = second.end()
    return Counter(states.values()), [*_wrong(sandbox, said, others, states)]


def _wrong(
    sandbox: Sandbox,
    said: list[tuple[float, str]],
    others: list[tuple[float, str]],
    states: dict[str, str],
) -> Iterator[str]:
    times = Counter(sent.text for sent in sandbox.sent)
    if said[0][1].replace("Claimed", "Left") in [words for _, words in said]:
        yield "what was claimed before the stop left after it"
    # By the senders' clock, which is one: a busy server notes some arrivals late.
    left = [at for at, words in said + others if words.startswith("Left")]
    if most_in_a_second(left) > RATE:
        yield f"{most_in_a_second(left)} left in a second"
    for reference, state in states.items():
        if times[reference] != (state == "sent"):
            yield f"{reference}: {state}, and accepted {times[reference]} times"


async def _submit(dsn: str) -> None:
    db = await asyncpg.connect(dsn)
    for n in range(MESSAGES):
        statement = "SELECT orange_sms.submit('default', $1, '+2250701020304', $1)"
        await db.execute(statement, str(n))
    await db.close()


async def _taken_over(dsn: str) -> None:
    """Wait until what the stopped sender has in hand is called unknown."""
    db = await asyncpg.connect(dsn)
    late = time.monotonic() + _PATIENCE
    unknown = "SELECT count(*) FROM orange_sms.message WHERE state = 'unknown'"
    while time.monotonic() < late:
        if await db.fetchval(unknown):
            break
        await asyncio.sleep(0.1)
    await db.close()


async def _settled(dsn: str, states: dict[str, str]) -> None:
    """Wait until nothing waits any more."""
    db = await asyncpg.connect(dsn)
    late = time.monotonic() + _PATIENCE
    while time.monotonic() < late:
        for row in await db.fetch("SELECT reference, state FROM orange_sms.message"):
            states[row["reference"]] = row["state"]
        if not {"queued", "sending"} & set(states.values()):
            break
        await asyncio.sleep(0.1)
    await db.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--member", type=json.loads, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.member:
        asyncio.run(send(Member(**wanted.member)))
        return
    wrong = []
    for engine in ENGINES:
        with served_postgres(fsync="on") as server:
            apart(migrating.migrate(server.dsn(), rate=RATE))
            states, found = stopped(
                server.dsn(), engine=engine, seconds=wanted.seconds, fence=1.0, lease=10.0
            )
        print(f"{engine}, stopped for {wanted.seconds:g} s: {dict(states)}", *found)  # noqa: T201
        wrong += found
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
