"""What reports errors often sends the locals of each frame: those of ours show nothing private."""

import base64
import contextlib
import json
from pathlib import Path
from traceback import walk_tb

import bytesserver
import pytest
from bytesserver import HANG, answer

import orange_sms_async
from orange_sms_async import (
    Client,
    ClientCredentials,
    NotSent,
    OrangeSMSError,
    OutboundMessage,
    OutcomeUnknown,
    Refused,
)
from orange_sms_async.errors import TooLate
from orange_sms_async.pacing import Departure, Pacer, departure

pytest_plugins = ["servers"]
pytestmark = pytest.mark.real_time

PACKAGE = str(Path(orange_sms_async.__file__).parent)
CREDENTIALS = ClientCredentials("canary-id", "canary-secret")
BASIC = base64.b64encode(b"canary-id:canary-secret").decode()
NUMBER, TEXT, TOKEN = "2250701020304", "Code 48-21", "eyJ0.canary.sig"
CANARIES = [NUMBER, TEXT, TOKEN, CREDENTIALS.secret, BASIC]
MESSAGE = OutboundMessage(f"+{NUMBER}", TEXT)


def chain(error):
    """The error, and all that it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def frames(error):
    for each in chain(error):
        for frame, _ in walk_tb(each.__traceback__):
            yield frame


def locals_of_ours(error):
    """Where it was raised through: names and values in frames of the package."""
    for frame in frames(error):
        if frame.f_code.co_filename.startswith(PACKAGE):
            for name, value in frame.f_locals.items():
                with contextlib.suppress(AttributeError):  # of a client that was not made
                    yield f"{frame.f_code.co_name}: {name}", repr(value)


def assert_shows_nothing(error):
    shown = [*locals_of_ours(error)]
    assert shown
    assert not [name for name, value in shown if any(canary in value for canary in CANARIES)]


@pytest.fixture
async def client(engine, plain, monkeypatch):
    gives = json.dumps({"access_token": TOKEN, "expires_in": 3600})
    monkeypatch.setattr(bytesserver, "TOKEN", gives)
    async with Client(CREDENTIALS, base_url=plain.base_url, engine=engine, timeout=0.3) as client:
        yield client


ECHO = json.dumps({"code": 22, "message": f"{NUMBER} {TEXT} {TOKEN}"})
SAID = {
    "nothing": (HANG, OutcomeUnknown),
    "no HTTP": (f"{TOKEN} {TEXT}\r\n\r\n".encode(), OutcomeUnknown),
    "a refusal that repeats it": (answer("400 No", ECHO, X_Echo=TOKEN), Refused),
    "an error that repeats it": (answer("500 No", ECHO), OutcomeUnknown),
    "half of it": (answer("403 No", ECHO)[:-9], OutcomeUnknown),
    "too much": (answer("403 No", ECHO * 20_000), OutcomeUnknown),
    "no id": (answer("201 Created", ECHO), OutcomeUnknown),
    "expired": (answer("401 No", '{"code": 42}'), NotSent),
}


@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("ask", ["send", "attempt"])
async def test_what_is_said_to_a_message(client, plain, said, ask):
    """
    Whether it is refused, unreadable or not answered at all.
    """
    said, class_ = SAID[said]
    plain.answers, plain.dropping = [said] * 2, [said]

    with pytest.raises(class_) as caught:
        await getattr(client, ask)(MESSAGE)

    assert_shows_nothing(caught.value)


@pytest.mark.parametrize(
    "said",
    [
        json.dumps({"access_token": f"{TOKEN} {TOKEN}"}),
        json.dumps({"access_token": TOKEN, "expires_in": "soon"}),
        f"<html>{BASIC}",
    ],
)
async def test_what_is_said_of_a_token(client, monkeypatch, said):
    """
    One that cannot be used is a token all the same.
    """
    monkeypatch.setattr(bytesserver, "TOKEN", said)

    with pytest.raises(NotSent) as caught:
        await client.send(MESSAGE)

    assert_shows_nothing(caught.value)


async def test_a_message_that_may_not_leave_any_more(client):
    """
    The body stays here, and so does all that was to leave with it.
    """
    await client.ready()
    departure.set(leaving := Departure(Pacer()))
    leaving.begin(lambda: None, lambda: True)

    with pytest.raises(NotSent) as caught:
        await client.attempt(MESSAGE)

    assert any(isinstance(error, TooLate) for error in chain(caught.value)) or leaving.too_late
    assert_shows_nothing(caught.value)


@pytest.mark.parametrize(
    "variables",
    [
        {"AUTHORIZATION": f"Bearer {BASIC}"},
        {"AUTHORIZATION": f"Basic {BASIC}", "BASE_URL": "nowhere"},
        {"CLIENT_SECRET": CREDENTIALS.secret},
        {"CLIENT_ID": "id", "CLIENT_SECRET": CREDENTIALS.secret, "BASE_URL": "nowhere"},
    ],
)
def test_an_environment_that_is_wrong(monkeypatch, variables):
    """
    What else is in it is not shown.
    """
    for name in ("AUTHORIZATION", "CLIENT_ID", "CLIENT_SECRET", "BASE_URL"):
        monkeypatch.setenv(f"ORANGE_SMS_{name}", variables.get(name, ""))

    with pytest.raises(ValueError, match="ORANGE_SMS_") as caught:
        Client.from_env()

    assert_shows_nothing(caught.value)


async def test_nobody_there(client, plain):
    """
    The same of what never left.
    """
    await client.ready()
    await plain.__aexit__()

    for ask in (lambda: client.attempt(MESSAGE), client.contracts):
        with pytest.raises(OrangeSMSError) as caught:
            await ask()
        assert_shows_nothing(caught.value)
