"""`orange-sms bulk` when Orange gives no clear answer, or a terminal watches."""

import asyncio
import os
import signal
import socket
import subprocess

import pytest
from cli.served import COMMAND, environment

from orange_sms_async.cli.serving import bind, serving
from orange_sms_async.sandbox import Sandbox

pytestmark = pytest.mark.real_time  # the command is another process

ROWS = "to,text\n+2250700000001,Bonjour\n+2250700000002,Bonjour\n"


@pytest.fixture
def on_the_wire():
    """The messages that have arrived, whether or not they are answered yet."""
    return asyncio.Queue()


@pytest.fixture
async def orange(on_the_wire):
    """A sandbox whose faults can be ordered, with the environment that finds it."""
    sandbox = Sandbox(rate=None)

    async def noticed(scope, receive, send):
        if scope.get("path", "").endswith("/requests"):
            on_the_wire.put_nowait(scope["path"])
        await sandbox(scope, receive, send)

    async with serving(noticed, bind("127.0.0.1", 0)) as url:
        settings = {"ORANGE_SMS_BASE_URL": url, "ORANGE_SMS_AUTHORIZATION": sandbox.authorization}
        yield sandbox, environment(**settings)


async def start(path, settings, *options):
    command = (*COMMAND, "bulk", str(path), "--rate", "off", *options)
    return await asyncio.create_subprocess_exec(
        *command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


async def test_an_unknown_outcome_is_said_and_not_tried_again(orange, rows_file, results):
    """
    A connection that is lost after the message arrived: it may be sent, and the exit code is 5.
    """
    sandbox, settings = orange
    sandbox.drop_next()
    path = rows_file(ROWS)

    process = await start(path, settings)
    said = (await process.communicate())[0].decode()

    assert 5 == process.returncode
    assert 2 == len(sandbox.sent)
    assert ["accepted", "unknown"] == sorted(line["state"] for line in results(path).values())
    assert "Check the unknown ones" in said


async def test_a_row_that_is_unknown_until_its_receipt_comes(rows_file, results):
    """
    The line was lost, and the receipt says that it was sent: so do the results and the exit code.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    sandbox = Sandbox(rate=None, receipt_url=f"http://127.0.0.1:{port}/", receipt_delay=2.0)
    sandbox.drop_next()
    path = rows_file(ROWS)
    async with serving(sandbox, bind("127.0.0.1", 0)) as url:
        found = {"ORANGE_SMS_BASE_URL": url, "ORANGE_SMS_AUTHORIZATION": sandbox.authorization}
        kept_in = ("--outbox", str(path.with_name("c.db")), "--receipts", str(port))
        process = await start(path, environment(**found), *kept_in)
        said = (await process.communicate())[0].decode()

    assert 0 == process.returncode
    assert "2 rows: 2 accepted" in said
    assert "OutcomeUnknown" not in said
    assert {("accepted", "", "DeliveredToTerminal")} == {
        (line["state"], line["error"], line["delivery"]) for line in results(path).values()
    }


async def test_a_second_ctrl_c_ends_at_once(orange, on_the_wire, rows_file):
    """
    A request that is never answered keeps the first one waiting; nobody has to wait with it.
    """
    sandbox, settings = orange
    sandbox.hang_next(times=2)

    process = await start(rows_file(ROWS), settings)
    await on_the_wire.get()
    await on_the_wire.get()
    process.send_signal(signal.SIGINT)
    while b"Stopping" not in await process.stdout.readline():
        pass
    process.send_signal(signal.SIGINT)
    stderr = (await process.communicate())[1]

    assert (130, b"") == (process.returncode, stderr)


async def test_a_late_answer_still_counts(orange, on_the_wire, rows_file, results):
    """
    What is on the wire at Ctrl-C finishes, however long it takes.
    """
    sandbox, settings = orange
    sandbox.latency = 0.5
    path = rows_file(ROWS)

    process = await start(path, settings)
    await on_the_wire.get()
    await on_the_wire.get()
    process.send_signal(signal.SIGTERM)
    await process.communicate()

    assert 130 == process.returncode
    assert {"accepted"} == {line["state"] for line in results(path).values()}


async def test_a_terminal_gets_a_bar(orange, rows_file):
    """
    The bar is drawn in place, and the cursor is there again at the end.
    """
    _, settings = orange
    ours, theirs = os.openpty()
    command = (*COMMAND, "bulk", str(rows_file(ROWS)), "--rate", "off")
    settings |= {"TERM": "xterm", "COLUMNS": "60"}

    process = await asyncio.create_subprocess_exec(*command, env=settings, stdout=theirs)
    os.close(theirs)
    await process.wait()
    said = os.read(ours, 100_000).decode()
    os.close(ours)

    assert 0 == process.returncode
    assert "━" in said
    assert "2/2" in said
    assert said.rindex("\x1b[?25h") > said.rindex("\x1b[?25l")
