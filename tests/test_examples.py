"""The examples, as they are, against a sandbox in a process of its own."""

import contextlib
import importlib.util
from pathlib import Path

import httpx
import pytest
from cli.served import served_sandbox

from orange_sms_async.cli.serving import bind, serving

pytestmark = pytest.mark.real_time  # two servers, one of them in another process

APP = Path(__file__).parents[1] / "examples" / "fastapi_app.py"


@pytest.fixture(scope="module")
def sandbox():
    with served_sandbox("--rate", "off") as sandbox:
        yield sandbox


@pytest.fixture
def web(sandbox, monkeypatch):
    """Start the web application in an environment; yield a client of it."""

    @contextlib.asynccontextmanager
    async def web(**settings):
        for name, value in (sandbox.environment | settings).items():
            monkeypatch.setenv(name, value)
        spec = importlib.util.spec_from_file_location("fastapi_app", APP)
        assert spec
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        async with (
            serving(module.app, bind("127.0.0.1", 0)) as url,
            httpx.AsyncClient(base_url=url, trust_env=False) as client,
        ):
            yield client

    return web


async def test_a_code_reaches_orange(web, sandbox):
    """
    The answer names Orange's id of a message that holds a code of six digits.
    """
    async with web() as client:
        answer = await client.post("/codes", json={"to": "+2250700000001"})

    [sent] = sandbox.shown("sent")
    assert (201, {"resource_id": sent["resource_id"]}) == (answer.status_code, answer.json())
    code = sent["text"].split()[3].strip(",")
    assert code.isdigit()
    assert 6 == len(code)


async def test_the_fourth_code_to_a_number_is_withheld(web, sandbox):
    """
    429 with the rule's words, and not with the number.
    """
    async with web() as client:
        answers = [await client.post("/codes", json={"to": "+2250700000002"}) for _ in range(4)]

    assert [201, 201, 201, 429] == [answer.status_code for answer in answers]
    assert "Withheld" == answers[-1].json()["error"]
    assert "0700000002" not in answers[-1].text


async def test_a_bad_number_is_the_callers_mistake(web):
    """
    422 with the rule that was broken, and not with the number.
    """
    async with web() as client:
        answer = await client.post("/codes", json={"to": "07 00"})

    assert (422, "InvalidMessage") == (answer.status_code, answer.json()["error"])
    assert "07 00" not in answer.text


async def test_wrong_credentials_are_not(web):
    """
    The queue stops, and every request hears so.
    """
    async with web(ORANGE_SMS_AUTHORIZATION="Basic eDp5") as client:
        answer = await client.post("/codes", json={"to": "+2250700000001"})

    assert (503, "QueueClosed") == (answer.status_code, answer.json()["error"])
    assert answer.headers["Retry-After"]
