"""The sandbox as its command serves it."""

import socket
from urllib.parse import urlsplit

import pytest
from cli.served import served_sandbox


@pytest.mark.real_time
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_address_that_is_printed_can_be_used(host):
    """
    Wherever it listens, its page and its API answer there.
    """
    with served_sandbox("--host", host) as sandbox:
        counted = sandbox.shown("statistics")

        assert host in sandbox.url
        assert 0 == counted["accepted"]


LEAVING = ["/_sandbox/faults", "/_sandbox/deliver", "/oauth/v3/token", "/smsmessaging/v1/outbound"]


@pytest.mark.real_time
def test_who_leaves_in_the_middle_of_a_body_leaves_no_trace():
    """
    Neither the page's API nor Orange's says a word about it.
    """
    with served_sandbox() as sandbox:
        token = sandbox.shown("token")["token"]
        for path in LEAVING:
            address = urlsplit(sandbox.url)
            with socket.create_connection((address.hostname, address.port)) as leaving:
                head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nX-Sandbox-Token: {token}\r\n"
                leaving.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        counted = sandbox.shown("statistics")
        sandbox.process.terminate()
        said = sandbox.process.communicate(timeout=10)

    assert ("", "") == said
    assert 0 == counted["requests"]


@pytest.mark.parametrize("path", LEAVING)
async def test_who_leaves_in_the_middle_of_a_body_is_not_answered(sandbox, control, path):
    """
    A server that is handed an answer then would have nobody to send it to.
    """
    token = (await control("GET", "token")).json()["token"]
    coming = iter([{"type": "http.request", "body": b"{", "more_body": True}])
    answered = []

    async def receive():
        return next(coming, {"type": "http.disconnect"})

    async def send(message):
        answered.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode()}
    headers = [(b"x-sandbox-token", token.encode())]
    await sandbox(
        scope | {"scheme": "http", "query_string": b"", "headers": headers}, receive, send
    )

    assert [] == answered
