"""The applications of docs/web.md, as they are, each served and asked for an SMS."""

import contextlib
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from cli.served import environment, served_sandbox
from pages.server import uvicorn, wsgi
from pages.written import DOCS, blocks

FILES = {block.title: block.code for block in blocks(DOCS / "web.md") if block.title}
APPS = ["with_fastapi:app", "with_starlette:app", "with_litestar:app", "with_django:application"]
VIEWS = {
    "with_flask:app": ("codes", "Votre code est 482 193."),
    "with_django_wsgi:application": ("orders", "Commande 4711 reçue."),
}
PROGRAMS = {
    "with_django_tasks.py": "Commande 4712 prête.",
    "with_celery.py": "Commande 4713 prête.",
    "remind.py": "Commande 4714 prête.",
}
AWAY = {
    "ORANGE_SMS_BASE_URL": "http://127.0.0.1:9",  # nobody listens there
    "ORANGE_SMS_CLIENT_ID": "id",
    "ORANGE_SMS_CLIENT_SECRET": "secret",
}
NUMBER = {"to": "+2250700000001"}


@pytest.fixture
def sandbox():
    with served_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def folder(tmp_path):
    """Save what the page gives to save."""
    for name, code in FILES.items():
        (tmp_path / name).write_text(code, "utf-8")
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as shop:
        shop.execute("CREATE TABLE orders (number INTEGER)")
    return tmp_path


@pytest.fixture
def sent(folder, sandbox):
    """Have the page's sender send what is in the file; tell the text of the first that arrived."""

    def sent():
        with subprocess.Popen(
            [sys.executable, "sender.py"], cwd=folder, env=environment(**sandbox.environment)
        ) as sender:
            until = time.monotonic() + 20
            while not sandbox.shown("sent") and time.monotonic() < until:
                time.sleep(0.05)  # another process sends it
            sender.terminate()
        assert 0 == sender.returncode
        return [each["text"] for each in sandbox.shown("sent")]

    return sent


def asked(url, path="codes", **query):
    # It waits for Orange for two seconds at most; the rest is for a busy machine.
    return httpx.post(f"{url}/{path}", params=NUMBER | query, timeout=10, trust_env=False)


def wrong(url, path="codes", **query):
    """Tell of the answer to a number that is none: its status, and whether it shows the number."""
    answer = asked(url, path, **query, to="07 00")
    assert answer.json()["error"].startswith("to: ")
    return answer.status_code, "07 00" in answer.text


@pytest.mark.parametrize("app", APPS)
def test_a_code_reaches_orange(app, folder, sandbox):
    """
    The answer names Orange's id of the message that was sent; a wrong number is a 422.
    """
    with uvicorn(app, folder, sandbox.environment) as url:
        answer = asked(url)
        assert (422, False) == wrong(url)

    [sent] = sandbox.shown("sent")
    assert (202, sent["resource_id"]) == (answer.status_code, answer.json()["resource_id"])


@pytest.mark.parametrize("app", APPS)
def test_a_code_waits_while_orange_is_away(app, folder, sent):
    """
    The answer comes all the same, and the message leaves once Orange is there.
    """
    with uvicorn(app, folder, AWAY) as url:
        answer = asked(url)
        assert (422, False) == wrong(url)

    assert (202, {"reference"}) == (answer.status_code, answer.json().keys())
    assert ["Votre code est 482 193."] == sent()


def settled(url, reference):
    """Ask any worker, until it tells what became of a code."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        answer = httpx.get(f"{url}/codes/{reference}", trust_env=False)
        if answer.json()["state"] not in {"queued", "sending"}:
            break
        time.sleep(0.05)  # another process sends it
    return answer.json()["state"]


def test_four_workers_keep_one_limit(folder, sandbox):
    """
    Asked for two seconds' worth at once, they send all of it, and nothing too early.
    """
    with uvicorn("with_fastapi:app", folder, sandbox.environment, workers=4) as url:
        with ThreadPoolExecutor(12) as at_once:
            kept = [answer.json()["reference"] for answer in at_once.map(asked, [url] * 12)]
        states = [settled(url, reference) for reference in kept]

    counted = sandbox.shown("statistics")
    assert (["sent"] * 12, 12, 0) == (states, counted["accepted"], counted["throttled"])


@pytest.mark.parametrize("app", VIEWS)
def test_a_view_puts_what_a_sender_sends(app, folder, sent):
    """
    The view answers without Orange; a wrong number is a 422.
    """
    path, text = VIEWS[app]
    with wsgi(app, folder) as url:
        answer = asked(url, path, number=4711)
        assert (422, False) == wrong(url, path, number=4711)

    assert (202, {"reference"}) == (answer.status_code, answer.json().keys())
    assert [text] == sent()


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_task_puts_what_a_sender_sends(program, folder, sent):
    """
    Once, although it runs twice.
    """
    for _ in range(2):
        settings = environment()
        subprocess.run([sys.executable, program], cwd=folder, env=settings, check=True)

    assert [PROGRAMS[program]] == sent()


def test_a_state_is_asked_for(folder):
    """
    Of a message that is kept, and of one that is not.
    """
    with wsgi("with_flask:app", folder) as url:
        codes = f"{url}/codes"
        state = httpx.get(f"{codes}/{asked(url).json()['reference']}", trust_env=False)
        none = httpx.get(f"{codes}/none", trust_env=False)

    assert ({"state": "queued"}, 404) == (state.json(), none.status_code)


def test_every_file_is_run():
    """
    All that the page gives to save.
    """
    apps = {f"{app.partition(':')[0]}.py" for app in (*APPS, *VIEWS)}
    assert apps | {*PROGRAMS, "sender.py"} == FILES.keys()
