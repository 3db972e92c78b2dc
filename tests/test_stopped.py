"""A process that is stopped and continued, as a laptop or a debugger does."""

import os
import signal
import subprocess
import sys
import time

import pytest
from line import most_in_a_second

from orange_sms_async._served import Served
from orange_sms_async.sandbox import Sandbox

pytestmark = [pytest.mark.real_time, pytest.mark.alone]
PROGRAM = """
import asyncio, sys
from datetime import UTC, datetime, timedelta
from orange_sms_async import Client, OutboundMessage, Priority, SendQueue


async def main() -> None:
    async with Client.from_env() as client, SendQueue(client) as queue:
        for number in range(40):
            await queue.submit(OutboundMessage("+2250701020304", f"{number}"))
        soon = datetime.now(UTC) + timedelta(seconds=3)
        late = OutboundMessage("+2250701020304", "too late")
        expiring = await queue.submit(late, priority=Priority.BULK, expires_at=soon)
        print("submitted", flush=True)
        await asyncio.wait({expiring})
        print(type(expiring.exception()).__name__, flush=True)


asyncio.run(main())
"""


def test_it_does_not_burst_and_sends_nothing_whose_time_ran_out():
    """
    Three seconds in which it should have sent fifteen: it sends at its pace, and not what expired.
    """
    sandbox = Sandbox(rate=None)
    with Served(sandbox) as served:
        account = {
            "ORANGE_SMS_AUTHORIZATION": sandbox.authorization,
            "ORANGE_SMS_BASE_URL": served.base_url,
            "NO_PROXY": "127.0.0.1",
        }
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env=os.environ | account,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout
            assert "submitted\n" == process.stdout.readline()
            time.sleep(1)
            process.send_signal(signal.SIGSTOP)
            time.sleep(3)
            process.send_signal(signal.SIGCONT)
            assert "MessageExpired\n" == process.stdout.readline()

    arrivals = [r.time for r in sandbox.requests if r.path.startswith("/smsmessaging/")]
    assert {str(number) for number in range(40)} == {sent.text for sent in sandbox.sent}
    assert 5 >= most_in_a_second(arrivals)
