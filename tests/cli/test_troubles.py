"""What commands say when the account, the line or Orange is in the way."""

import pytest

pytestmark = pytest.mark.real_time  # the command is another process

SEND = ("send", "+2250700000001", "Un mot privé")
CANARIES = ("0700000001", "privé", "eDp5", "Basic")


@pytest.fixture
def commands(rows_file):
    """One of each kind that talks to Orange."""
    return SEND, ("balance",), ("check", rows_file("to,text\n+2250700000001,Un mot privé\n"))


def in_one_line(complaints, words):
    assert 1 == complaints.count("\n"), complaints
    assert complaints.startswith("Error: ")
    assert words in complaints
    assert not [canary for canary in CANARIES if canary in complaints]


async def test_wrong_credentials(ask, commands):
    """
    3, and where to find the right ones.
    """
    for command in commands:
        code, _, complaints = await ask(*command, ORANGE_SMS_AUTHORIZATION="Basic eDp5")

        assert 3 == code
        in_one_line(complaints, "Compare the client id and secret with MyApps")


async def test_no_network(ask, commands):
    """
    4, and where to look.
    """
    for command in commands:
        code, _, complaints = await ask(*command, ORANGE_SMS_BASE_URL="http://127.0.0.1:9")

        assert 4 == code
        in_one_line(complaints, "no connection to http://127.0.0.1:9. Check the network")


async def test_an_expired_contract(orange, ask, commands):
    """
    1, since when, and that nothing is lost with it.
    """
    orange.account.expire("CIV")
    day = orange.account.contract("CIV").expiration_date
    words = f"contract for CIV expired on {day:%Y-%m-%d}: buy a bundle; unused units are kept"
    sent, _, checked = [await ask(*command) for command in commands]

    assert (1, "") == sent[:2]
    in_one_line(sent[2], words)
    assert (1, "") == (checked[0], checked[2])
    assert f"no-go  {words}\n" in checked[1]


async def test_an_empty_balance(orange, ask, commands):
    """
    1, and how much is missing.
    """
    orange.account.contract("CIV").available_units = 0
    words = "contract for CIV has 0 of 1 unit needed: buy a bundle of 1 or more"
    sent, _, checked = [await ask(*command) for command in commands]

    assert (1, "") == sent[:2]
    in_one_line(sent[2], words)
    assert (1, "") == (checked[0], checked[2])
    assert f"no-go  {words}\n" in checked[1]


async def test_no_contract_at_all(orange, ask, commands):
    """
    The "Orange only" offer has a contract of its own, where there is one.
    """
    code, _, complaints = await ask("send", "+221770000001", "Bonjour", "--on-net")

    assert 1 == code
    in_one_line(complaints, "no contract for SEN: buy a bundle")


async def test_what_is_behind_a_campaign_that_ended(ask, rows_file):
    """
    The same chain for bulk, before its one line.
    """
    path = rows_file("to,text\n+2250700000001,Un mot privé\n")
    options = ("--debug", "--force", "--patience", 0.2)
    nowhere, wrong = "http://127.0.0.1:9", "Basic eDp5"
    offline = await ask("bulk", path, *options, ORANGE_SMS_BASE_URL=nowhere)
    refused = await ask("bulk", path, *options, ORANGE_SMS_AUTHORIZATION=wrong)

    assert (4, 3) == (offline[0], refused[0])
    assert "httpx.ConnectError (" in offline[2]
    assert "Error: gave up: no connection to http://127.0.0.1:9. Check the network" in offline[2]
    words = "Orange's token endpoint answered 401 (invalid_client)"
    assert f"  AuthenticationFailed: {words}" in refused[2]
    assert not [canary for canary in CANARIES if canary in offline[2] + refused[2]]


async def test_what_is_behind_an_error(orange, ask):
    """
    Each error of the chain on a line; no number, no text, no secret, though Orange repeats them.
    """
    orange.fail_next(403, message_id="POL0001", variable="Un mot privé for +2250700000001")
    refused = (await ask(*SEND, "--debug"))[2]
    offline = (await ask(*SEND, "--debug", ORANGE_SMS_BASE_URL="http://127.0.0.1:9"))[2]

    orange.drop_next()
    lost = (await ask(*SEND, "--debug"))[2]

    said = offline.splitlines()
    assert "  OutcomeUnknown: the connection was lost" in lost
    assert "  httpx.RemoteProtocolError (" in lost
    assert "ContractRefused: Orange answered 403 (POL0001)" in refused
    assert "X-OAPI-Request-Id" in refused
    assert said[0].startswith("  ConnectionFailed: no connection to http://127.0.0.1:9")
    assert any("httpx.ConnectError (" in line for line in said)
    assert said[-1].startswith("Error: ")
    assert not [canary for canary in CANARIES if canary in refused + offline + lost]
