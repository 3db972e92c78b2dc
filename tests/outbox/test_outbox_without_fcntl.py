"""A process without `fcntl`, as on Windows: SQLite's own locks hold the file for one."""

import subprocess
import sys

import pytest

# All but the module of the turn is imported as the platform is: asyncio has another loop there.
CHILD = """
import asyncio, sys
from orange_sms_async import OutboundMessage, OutboxUnusable, Pacer, SendQueue
sys.modules["fcntl"], sys.platform, platform = None, "win32", sys.platform
from orange_sms_async.outbox.sqlite import turn
sys.platform = platform
from orange_sms_async import SqliteOutbox

class Silent:
    pacer, timeout = Pacer(), 30.0
    async def ready(self): pass
    async def attempt(self, message):
        print("left", flush=True)
        await asyncio.Event().wait()

async def main(path):
    async with SendQueue(Silent(), outbox=SqliteOutbox(path)) as queue:
        print(*[outcome.state for outcome in queue.recovered], "open", flush=True)
        await queue.submit(OutboundMessage("+2250701020304", "a", reference="a"))
        if queue.recovered:
            await queue.aclose(drain=False)
        await queue.join()

assert not turn.LOCKS
try:
    asyncio.run(main(sys.argv[1]))
except OutboxUnusable as unusable:
    print(unusable, flush=True)
"""


@pytest.fixture
def start(path):
    """Open the file in a process of that kind, which sends one message and has no answer."""
    started = []

    def start():
        command = [sys.executable, "-c", CHILD, path]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_file_has_one_process_also_without_fcntl(start, path):
    """
    The second is told so, and the one after a kill is not kept out by what was left behind.
    """
    first = start()
    assert ["open\n", "left\n"] == [first.stdout.readline(), first.stdout.readline()]
    refused, _ = start().communicate(timeout=60)
    first.kill()
    first.wait()
    later, _ = start().communicate(timeout=4)  # it waits for nobody, which takes five seconds

    assert f"outbox {path}: held by another process\n" == refused
    assert "unknown open\n" == later
    assert not path.with_name(f"{path.name}.turn").exists()
