"""The web applications of docs/web.md, as they are, each served and asked for a code."""

import runpy

import httpx
import pytest
from cli.served import served_sandbox
from pages.server import uvicorn
from pages.written import DOCS, blocks

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


def test_a_share(folder, monkeypatch):
    """
    Two workers have half of Orange's rate each.
    """
    monkeypatch.setenv("WEB_CONCURRENCY", "2")

    assert 2.5 == runpy.run_path(str(folder / "share.py"))["RATE"]


def test_every_file_is_run():
    """
    All that the page gives to save.
    """
    assert {f"{app.partition(':')[0]}.py" for app in APPS} | {"share.py"} == FILES.keys()
