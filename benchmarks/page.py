"""Does the sandbox's page keep up with 200 requests a second?"""

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import attrs
import httpx
from _results import keep
from _table import table
from playwright.sync_api import Browser, sync_playwright

RATE, SECONDS = 200, 10
FRAME = 50.0  # ms
VIEWS = {"#/": "Bonjour", "#/requests": "", "#/recipient/+2250701020304": "Bonjour"}
SMS = "/smsmessaging/v1/outbound/tel%3A%2B2250000/requests"
COMMAND = [sys.executable, "-m", "orange_sms_async.cli", "sandbox", "--port", "0", "--rate", "off"]
WATCH = """() => {
    window.frames_ = [];
    let last = performance.now();
    const next = (now) => {
        window.frames_.push(now - last);
        last = now;
        requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
}"""


@attrs.frozen
class Seen:
    """What a view showed: its frames, in ms, while so many requests came."""

    view: str
    requests: int
    frames: int
    longest: float
    too_long: int


@contextlib.contextmanager
def sandbox() -> Iterator[str]:
    settings = {**os.environ, "LC_ALL": "C.UTF-8", "LANGUAGE": ""}
    server = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True, env=settings)
    try:
        line = next(line for line in server.stdout or () if "BASE_URL=" in line)
        yield line.partition("=")[2].strip()
    finally:
        server.terminate()
        server.wait(10)


def client(url: str) -> httpx.Client:
    http = httpx.Client(base_url=url, trust_env=False)
    basic = {"Authorization": "Basic c2FuZGJveDpzYW5kYm94"}
    grant = {"grant_type": "client_credentials"}
    token = http.post("/oauth/v3/token", data=grant, headers=basic).json()["access_token"]
    http.headers["Authorization"] = f"Bearer {token}"
    return http


def post(http: httpx.Client, text: str, counted: list[int]) -> None:
    """Send messages for some seconds. Those without a text are refused."""
    number = "tel:+2250701020304"
    message = {"address": number, "senderAddress": "tel:+2250000"}
    body = {
        "outboundSMSMessageRequest": message | {"outboundSMSTextMessage": {"message": text}}
        if text
        else {}
    }
    start, sent = time.monotonic(), 0
    while (now := time.monotonic()) < start + SECONDS:
        http.post(SMS, json=body)
        sent += 1
        time.sleep(max(0.0, start + sent / RATE - now))
    counted.append(sent)


def seen(browser: Browser, url: str, view: str, text: str) -> Seen:
    page, counted = browser.new_page(viewport={"width": 1360, "height": 860}), list[int]()
    page.goto(f"{url}/{view}")
    page.wait_for_selector("body[data-ready]")
    page.wait_for_timeout(1000)
    page.evaluate(WATCH)
    posting = threading.Thread(target=post, args=(client(url), text, counted))
    posting.start()
    while posting.is_alive():
        page.wait_for_timeout(200)
    frames = page.evaluate("window.frames_")
    page.close()
    too_long = sum(frame > FRAME for frame in frames)
    return Seen(view, counted[0], len(frames), max(frames), too_long)


def main() -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        print("skipped: no chromium here")
        return
    with sandbox() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        runs = [seen(browser, url, view, text) for view, text in VIEWS.items()]
        browser.close()
    rows = [
        (run.view, run.requests, run.frames, f"{run.longest:.0f}", run.too_long) for run in runs
    ]
    table(("view", "requests", "frames", "longest, ms", "over 50 ms"), rows)
    print(f"\nIn {SECONDS} seconds each. Target: {RATE} a second, and no frame over {FRAME:g} ms.")
    keep("page", [attrs.asdict(run) for run in runs])


if __name__ == "__main__":
    main()
