"""`orange-sms sandbox`, as a user runs it."""

import signal
import socket

import pytest
from cli.served import served_sandbox


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_when_asked_to(how):
    """
    Ctrl-C and SIGTERM are the ordinary ends of a server: 0, and not a word.
    """
    with served_sandbox() as sandbox:
        sandbox.process.send_signal(how)
        said = sandbox.process.communicate(timeout=10)

    assert 0 == sandbox.process.returncode
    assert ("", "") == said


def test_it_says_what_to_set_and_that_works(run, rows_file):
    """
    The two lines it prints are all that another command needs; its options reach the sandbox.
    """
    options = ["--throttle", "spike", "--throttle-status", "429", "--sender-name", "Boutique"]
    with served_sandbox(*options) as sandbox:
        path = rows_file("to,text,sender_name\n+2250700000001,Bonjour,Boutique\n")
        ended = run("bulk", path, settings=sandbox.environment)

        assert 0 == ended.returncode
        assert 1 == sandbox.shown("statistics")["accepted"]


def test_a_taken_port_is_one_line(run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = run("sandbox", "--port", taken.getsockname()[1])

    assert 2 == ended.returncode
    assert "Address already in use" in ended.stderr
    assert 1 == ended.stderr.count("\n")


def test_a_host_that_others_reach_is_warned_about(start):
    process = start("sandbox", "--port", "0", "--host", "0.0.0.0")
    said = process.stderr.readline()
    while "AUTHORIZATION" not in process.stdout.readline():
        pass
    process.terminate()

    assert said.startswith("Warning: on 0.0.0.0 everyone")
    assert 0 == process.wait(10)


def test_receipts_go_to_an_address(run):
    ended = run("sandbox", "--receipts", "localhost:9000")

    assert 2 == ended.returncode
    assert "http://" in ended.stderr
