"""Real Chromium on the sandbox's page, and a program that sends to the sandbox behind it."""

import os
import shutil
from urllib.parse import urlsplit

import attrs
import httpx
import pytest

from orange_sms_async._served import Served

CHROMIUM = shutil.which("chromium")
MISSING = "no browser: `apt-get install chromium`, and the tests of the page run"


def pytest_runtest_setup(item):
    # Here and not in the fixture, so that pytest says it in one line for all of them.
    if CHROMIUM is None and "chromium" in item.fixturenames:
        say = pytest.fail if os.environ.get("BROWSER_TESTS") == "required" else pytest.skip
        say(MISSING)


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=20_000)  # milliseconds: a busy machine is slow, and not wrong
    with sync_playwright() as playwright:
        # As root, as in most containers, Chromium starts without its own sandbox only.
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture
def served_url(sandbox):
    with Served(sandbox) as server:
        yield server.base_url


@pytest.fixture
def visit(chromium, served_url):
    """
    Open the page, in any window and language; it may complain of nothing and ask nobody else.
    """
    contexts, complaints = [], []

    def visit(path="/", **settings):
        defaults = {"locale": "en-GB", "viewport": {"width": 1280, "height": 800}}
        context = chromium.new_context(**defaults | settings)
        contexts.append(context)
        context.set_default_timeout(20_000)
        page = context.new_page()
        page.on("console", lambda told: complaints.append(f"{told.type}: {told.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.extend(_elsewhere(request.url, served_url)))
        page.goto(served_url + path)
        page.wait_for_selector("body[data-ready]")
        return page

    yield visit
    for context in contexts:
        context.close()
    assert [] == complaints


def _elsewhere(asked, url):
    return [] if urlsplit(asked).netloc == urlsplit(url).netloc else [asked]


@attrs.frozen
class Program:
    """Somebody's program, that uses the sandbox for Orange."""

    client: httpx.Client

    def send(self, text="Bonjour", to="+2250700000001", **parts):
        request = {
            "address": f"tel:{to}",
            "senderAddress": "tel:+2250000",
            "outboundSMSTextMessage": {"message": text},
        } | parts
        path = "/smsmessaging/v1/outbound/tel%3A%2B2250000/requests"
        return self.client.post(path, json={"outboundSMSMessageRequest": request})


@pytest.fixture
def program(sandbox, served_url):
    with httpx.Client(base_url=served_url, trust_env=False) as client:
        form = {"grant_type": "client_credentials"}
        headers = {"Authorization": sandbox.authorization}
        token = client.post("/oauth/v3/token", data=form, headers=headers).json()
        client.headers["Authorization"] = f"Bearer {token['access_token']}"
        yield Program(client)
