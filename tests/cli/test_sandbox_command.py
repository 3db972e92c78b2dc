"""`orange-sms sandbox`, as a user runs it."""

import json
import signal
import socket
import time
import urllib.request

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


def test_it_says_so_in_french():
    """
    What a shell takes over stays as it is.
    """
    with served_sandbox("--lang", "fr", "--host", "0.0.0.0") as sandbox:
        sandbox.process.send_signal(signal.SIGTERM)
        _, warned = sandbox.process.communicate(timeout=10)

    assert sandbox.url.startswith("http://")
    assert "quiconque atteint cette machine peut utiliser le simulateur" in warned


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

    assert said.startswith("Warning: on 0.0.0.0, anyone")
    assert 0 == process.wait(10)


def test_receipts_go_to_an_address(run):
    ended = run("sandbox", "--receipts", "localhost:9000")

    assert 2 == ended.returncode
    assert "http://" in ended.stderr


def test_state_survives_a_kill(run, rows_file, tmp_path):
    """
    What was accepted a moment before kill -9 is there in the next run, without its receipts lost.
    """
    data = ["--data", str(tmp_path / "sandbox.db"), "--rate", "off"]
    with served_sandbox(*data) as sandbox:
        path = rows_file("to,text\n+2250700000001,Bonjour\n+2250700000002,Bonsoir\n")
        run("bulk", path, "--rate", "off", settings=sandbox.environment)
        time.sleep(0.5)  # it is on disk a quarter of a second later
        sandbox.process.kill()
    with served_sandbox(*data) as sandbox:
        accepted = sandbox.shown("statistics")["accepted"]
        texts = {message["text"] for message in sandbox.shown("messages")["messages"]}

    assert 2 == accepted
    assert {"Bonjour", "Bonsoir"} == texts


def test_a_data_file_that_cannot_be_used_is_one_line(run, tmp_path):
    """
    In use, or somebody else's.
    """
    data = tmp_path / "sandbox.db"
    (tmp_path / "rows.csv").write_text("to,text\n" * 100)
    with served_sandbox("--data", str(data)):
        ended = [run("sandbox", "--port", "0", "--data", file) for file in (data, "rows.csv")]

    assert [2, 2] == [each.returncode for each in ended]
    assert [1, 1] == [each.stderr.count("\n") for each in ended]
    assert "in use" in ended[0].stderr
    assert "not a sandbox's file" in ended[1].stderr


def test_it_ends_at_once_with_its_page_open():
    """
    A browser that watches does not hold it up: then the server would complain that it had to
    be cut off.
    """
    with served_sandbox() as sandbox:
        address = sandbox.url.removeprefix("http://").rpartition(":")
        with socket.create_connection((address[0], int(address[2]))) as page:
            page.sendall(b"GET /_sandbox/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            page.recv(10)
            sandbox.process.send_signal(signal.SIGINT)
            said = sandbox.process.communicate(timeout=10)

    assert 0 == sandbox.process.returncode
    assert ("", "") == said


def test_it_ends_at_once_with_an_answer_under_way():
    """
    Whoever waits for it sees the line drop; the sandbox says not a word.
    """
    with served_sandbox("--latency", "600") as sandbox:
        port = int(sandbox.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=10) as asking:
            asking.sendall(b"GET /sms/admin/v1/contracts HTTP/1.1\r\nHost: localhost\r\n\r\n")
            sandbox.shown("statistics")  # by then the other one is there
            sandbox.process.send_signal(signal.SIGINT)
            answer = asking.recv(1)
        said = sandbox.process.communicate(timeout=10)

    assert (0, ("", ""), b"") == (sandbox.process.returncode, said, answer)


def test_its_switches_reach_it():
    """
    Where Orange is unclear, a person chooses.
    """
    with served_sandbox("--keep", "7", "--expires-in", "number") as sandbox:
        form = b"grant_type=client_credentials"
        headers = {"Authorization": sandbox.environment["ORANGE_SMS_AUTHORIZATION"]}
        request = urllib.request.Request(f"{sandbox.url}/oauth/v3/token", form, headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            token = json.load(answer)

    assert 3600 == token["expires_in"]
