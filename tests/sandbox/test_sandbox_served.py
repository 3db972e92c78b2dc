"""The sandbox as its command serves it."""

import socket
import subprocess
from urllib.parse import urlsplit

import httpx
import pytest
from cli.served import COMMAND, served_sandbox


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


EIGHT_DIGITS = {
    "outboundSMSMessageRequest": {
        "address": "tel:+22507010203",
        "senderAddress": "tel:+2250000",
        "outboundSMSTextMessage": {"message": "Bonjour"},
    }
}


@pytest.mark.real_time
def test_it_begins_as_its_options_say(tmp_path):
    """
    As strict, with the units of a file, and with somewhere to post replies to.
    """
    seed = tmp_path / "seed.json"
    seed.write_text('{"contracts": [{"country": "CIV", "available_units": 7}]}')
    replies = "http://127.0.0.1:9/replies"
    with served_sandbox("--strict", "--seed", str(seed), "--replies", replies) as sandbox:
        (contract,) = sandbox.shown("account")["contracts"]
        token = sandbox.shown("token")["token"]
        said = {"address": "+2250701020304", "text": "OUI"}
        answer = httpx.post(
            f"{sandbox.url}/_sandbox/reply",
            json=said,
            headers={"X-Sandbox-Token": token},
            trust_env=False,
        )
        authorization = {"Authorization": sandbox.environment["ORANGE_SMS_AUTHORIZATION"]}
        form = {"grant_type": "client_credentials"}
        with httpx.Client(base_url=sandbox.url, trust_env=False) as client:
            issued = client.post("/oauth/v3/token", data=form, headers=authorization).json()
            path = "/smsmessaging/v1/outbound/tel%3A%2B2250000/requests"
            bearer = {"Authorization": f"Bearer {issued['access_token']}"}
            client.post(path, json=EIGHT_DIGITS, headers=bearer)
        (refused,) = sandbox.shown("requests")["requests"]

    assert ("CIV", 7) == (contract["country"], contract["available_units"])
    assert (200, "ConnectError") == (answer.status_code, answer.json()["error"])
    assert "IVORIAN_DIGITS" == refused["reason"]


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--seed", "nowhere.json"], "nowhere.json: No such file"),
        (["--tls", "--tls-ca", "nowhere/ca.pem"], "nowhere/ca.pem: No such file"),
        (["--replies", "ftp://x"], "an http:// or https:// address"),
    ],
)
def test_a_bad_option_is_said_in_one_line(options, said):
    """
    Before it listens.
    """
    ran = subprocess.run(
        [*COMMAND, "sandbox", "--port", "0", *options], capture_output=True, text=True, check=False
    )

    assert ran.returncode
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr
