"""The web applications of docs/web.md, as they are, each served and asked for a code."""

import asyncio
import runpy

import httpx
import pytest
from cli.served import served_sandbox
from pages.server import uvicorn
from pages.written import DOCS, blocks

from orange_sms_async import Client, OutboundMessage

FILES = {block.title: block.code for block in blocks(DOCS / "web.md") if block.title}
APPS = ["with_fastapi:app", "with_starlette:app", "with_litestar:app", "with_django:application"]


@pytest.fixture(scope="module")
def sandbox():
    with served_sandbox("--rate", "off") as sandbox:
        yield sandbox


@pytest.fixture
def folder(tmp_path):
    """Save what the page gives to save."""
    for name, code in FILES.items():
        (tmp_path / name).write_text(code, "utf-8")
    return tmp_path


@pytest.mark.parametrize("app", APPS)
def test_a_code_reaches_orange(app, folder, sandbox):
    """
    The answer names Orange's id of the message that was sent.
    """
    with uvicorn(app, folder, sandbox) as url, httpx.Client(trust_env=False) as client:
        answer = client.post(f"{url}/codes", params={"to": "+2250700000001"})

    assert sandbox.shown("sent")[-1]["resource_id"] == answer.json()["resource_id"]


@pytest.mark.real_time
async def test_a_view_puts_what_a_worker_sends(folder, sandbox, monkeypatch):
    """
    Both over one file, as several workers would.
    """
    monkeypatch.chdir(folder)
    for name, value in sandbox.environment.items():
        monkeypatch.setenv(name, value)
    queue = runpy.run_path(str(folder / "workers.py"))["queue"]
    send_code = runpy.run_path(str(folder / "without_a_loop.py"))["send_code"]
    send_code("+2250700000001", "4711", "code-1")
    async with Client.from_env() as client, queue(client) as worker:
        await asyncio.wait_for(worker.send(OutboundMessage("+2250700000001", "Bonjour")), 30)

    assert ["Bonjour", "Votre code : 4711"] == sorted(
        sent["text"] for sent in sandbox.shown("sent")[-2:]
    )


def test_every_file_is_run():
    """
    All that the page gives to save.
    """
    others = {"workers.py", "without_a_loop.py"}
    assert {f"{app.partition(':')[0]}.py" for app in APPS} | others == FILES.keys()
