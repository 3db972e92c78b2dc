"""`orange-sms demo`, as a user runs it."""

import re
import signal
from pathlib import Path

import pytest

import orange_sms_async.cli

LIST = Path(orange_sms_async.cli.__file__).with_name("recipients.csv")


@pytest.mark.alone
def test_sixty_messages_go_out_and_their_receipts_come_back(run):
    """
    The whole of it, at Orange's pace: every row is accounted for and no second held a sixth.
    """
    ended = run("demo", LIST, settings={})

    said = " ".join(ended.stdout.split())
    assert 0 == ended.returncode, said
    for line in ("rows 60", "accepted 58", "refused 1", "invalid 1", "delivered 53"):
        assert line in said
    assert re.search("unaccounted for 0 .* throttled 0 ", said)
    assert "\x1b" not in ended.stdout


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_sums_up_and_leaves_nothing_running(start, how):
    """
    It says what came of the part that was sent, and its sandbox has gone.
    """
    process = start("demo", LIST, settings={})
    [port] = re.findall(r"http://127.0.0.1:(\d+)", process.stdout.readline())
    process.stdout.readline()
    process.stdout.readline()
    process.send_signal(how)
    said = process.communicate(timeout=20)[0]

    assert 130 == process.returncode
    assert "not sent" in said
    assert not listens(int(port))


def listens(port):
    import socket

    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) == 0


def test_it_brings_its_own_list(start):
    """
    Wherever the package is installed, in any folder.
    """
    process = start("demo", settings={})
    said = [process.stdout.readline() for _ in range(3)]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)

    assert said[2].startswith("0/60 ")
