"""`orange-sms send`, as a user runs it."""

import signal
import socket

import pytest

from orange_sms_async.sandbox import Sandbox

TO = "+2250700000001"


def test_it_shows_what_orange_calls_the_message(run, sandbox):
    """
    A text from stdin, so that nobody sees it in the list of processes.
    """
    ended = run("send", TO, "-", "--sender-name", "MonService", input="Code : 4821\r\n")

    ids = dict(line.split(": ") for line in ended.stdout.splitlines())
    sent = {one["resource_id"]: one for one in sandbox.shown("sent")}[ids["resource id"]]
    assert (0, "") == (ended.returncode, ended.stderr)
    assert ["resource id", "request id"] == [*ids]
    assert ("Code : 4821", "MonService") == (sent["text"], sent["sender_name"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["0700000001", "Bonjour"], "TO: write it as +2250701020304"),
        ([TO, " "], "TEXT: may not be empty"),
        ([TO, "Bonjour", "--sender-name", "Café"], "--sender-name: 1 to 11 letters"),
        ([TO, "Bonjour", "--wait", "5"], "--wait: needs --receipts PORT"),
    ],
)
def test_what_cannot_be_sent(invoke, arguments, said):
    ended = invoke("send", *arguments)

    assert 2 == ended.exit_code
    assert said in ended.stderr


def test_a_text_that_is_no_text(run):
    ended = run("send", TO, "-", settings={}, input="\udce9", errors="surrogateescape")

    assert 2 == ended.returncode
    assert "TEXT: not UTF-8" in ended.stderr


@pytest.mark.real_time
async def test_an_unknown_outcome(orange, ask):
    """
    The line was lost after it had arrived: 5, and it is not sent again.
    """
    orange.drop_next()

    code, _, complaints = await ask("send", TO, "Bonjour")

    assert (5, 1) == (code, len(orange.sent))
    assert "It may have been sent: ask the recipient before sending it again." in complaints


@pytest.mark.real_time
async def test_an_accepted_message_without_an_id(orange, ask):
    """
    Orange took it, and nobody is told that it may be sent again.
    """
    orange.fail_next(201, body="")

    code, _, complaints = await ask("send", TO, "Bonjour")

    assert 5 == code
    assert complaints.endswith("contains no resource id. Do not send it again.\n")


class TestReceipts:
    pytestmark = pytest.mark.real_time

    @pytest.fixture
    def port(self):
        """One that is free."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            return listener.getsockname()[1]

    @pytest.fixture
    def orange(self, port):
        """A sandbox that posts to that port."""
        return Sandbox(rate=None, receipt_url=f"http://127.0.0.1:{port}/s3cret", receipt_delay=0.1)

    async def test_what_it_says_decides_the_end(self, ask, port):
        """
        Delivered is 0, not delivered 1, uncertain 5.
        """
        endings = {}
        for number in (TO, "+2250700000099", "+2250700000098"):
            options = ("--receipts", port, "--secret", "s3cret")
            code, said, complaints = await ask("send", number, "Bonjour", *options)
            endings[said.splitlines()[-1]] = code
            assert "" == complaints

        assert {
            "receipt: DeliveredToTerminal": 0,
            "receipt: DeliveryImpossible": 1,
            "receipt: DeliveryUncertain": 5,
        } == endings


@pytest.mark.real_time
async def test_a_receipt_that_does_not_come(orange, ask):
    """
    The message is accepted all the same: its id is shown, and that nothing is known beyond it.
    """
    code, said, complaints = await ask("send", TO, "Bonjour", "--receipts", 0, "--wait", 0.1)

    assert 5 == code
    assert "resource id: " in said
    assert "no receipt within 0.1 s: Orange may take up to 24 hours" in said
    assert "Warning: without a secret" in complaints


@pytest.mark.real_time
async def test_ctrl_c_lets_what_is_on_the_wire_finish(orange, begin, arrived):
    """
    The message that Orange is being asked to take is taken, and its id is shown.
    """
    orange.latency = 0.5
    process = await begin("send", TO, "Bonjour", "--receipts", 0, "--secret", "s3cret")
    while not (await arrived.get()).endswith("/requests"):
        pass
    process.send_signal(signal.SIGINT)
    said = (await process.communicate())[0].decode()

    assert 130 == process.returncode
    assert f"resource id: {orange.sent[0].resource_id}" in said


@pytest.mark.real_time
async def test_ctrl_c_before_that_sends_nothing(orange, begin, arrived):
    orange.hang_next(on="token")
    process = await begin("send", TO, "Bonjour", "--receipts", 0, "--secret", "s3cret")
    await arrived.get()
    process.send_signal(signal.SIGINT)
    complaints = (await process.communicate())[1]

    assert (130, b"") == (process.returncode, complaints)
    assert not orange.sent
