"""Takes the pictures of the sandbox's page: a minute of a made-up campaign, seen by Chromium."""

import shutil
import sys
import threading
import time
from itertools import cycle
from pathlib import Path

import httpx
from playwright.sync_api import Page, sync_playwright

from orange_sms_async.sandbox import Sandbox

sys.path.append(str(Path(__file__).parents[2] / "tests"))
from orange_sms_async._served import Served

HERE = Path(__file__).parent
MINUTE = 62.0

CAMPAIGN = cycle(
    [
        (
            "Boutique",
            "Bonjour Awa, votre commande n° 2041 est partie. Livraison demain avant 12 h.",
        ),
        (
            "Boutique",
            "Rentrée : -20 % sur tous les cahiers jusqu’à dimanche soir. STOP au 0700.",
        ),
        ("MonService", "Rappel : rendez-vous mardi à 15 h 30 avec le Dr Koné. À mardi 🙂"),
        ("Boutique", "Bonjour Yao, votre colis vous attend à l’agence de Treichville."),
        (
            "MonService",
            "Votre abonnement prend fin le 30. Renouvelez-le d’un geste dans l’application.",
        ),
    ]
)
RECIPIENTS = cycle(f"+2250700000{ending}" for ending in ("002", "003", "098", "004", "099", "005"))
CODE = "Votre code est {}. Il expire dans 5 minutes, ne le communiquez à personne."


def endpoint(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200)


def orange() -> Sandbox:
    return Sandbox(
        receipt_url="https://example.org/orange/receipts",
        receipt_delay=2.0,
        receipt_transport=httpx.MockTransport(endpoint),
        sender_names=frozenset({"MonService", "Boutique"}),
        seed=7,
    )


def connected(sandbox: Sandbox, url: str) -> httpx.Client:
    client = httpx.Client(base_url=url, trust_env=False)
    form, headers = {"grant_type": "client_credentials"}, {"Authorization": sandbox.authorization}
    token = client.post("/oauth/v3/token", data=form, headers=headers).json()["access_token"]
    client.headers["Authorization"] = f"Bearer {token}"
    return client


def send(client: httpx.Client, to: str, name: str, text: str) -> str:
    request = {
        "address": f"tel:{to}",
        "senderAddress": "tel:+2250000",
        "senderName": name,
        "outboundSMSTextMessage": {"message": text},
    }
    path = "/smsmessaging/v1/outbound/tel%3A%2B2250000/requests"
    answer = client.post(path, json={"outboundSMSMessageRequest": request})
    return answer.headers.get("Location", "").rpartition("/")[2]


def campaign(client: httpx.Client, *, until: threading.Event) -> None:
    """Pace itself, but for two careless moments that Orange refuses."""
    start = time.monotonic()
    for number in range(10_000):
        if until.is_set():
            return
        careless = 95 <= number < 99 or 190 <= number < 196
        if number % 29 == 0:
            code = f"{(number * 7919) % 1000:03} {(number * 104729) % 1000:03}"
            send(client, "+2250700000001", "MonService", CODE.format(code))
        else:
            send(client, next(RECIPIENTS), *next(CAMPAIGN))
        start += 0.02 if careless else 0.203
        time.sleep(max(0.0, start - time.monotonic()))


def one_time_code(page: Page) -> None:
    page.locator("#list .row", has_text="Votre code").first.click()
    page.locator(".timeline li").first.wait_for()


def set_faults(page: Page) -> None:
    page.get_by_label("How many requests").fill("40")
    page.get_by_role("button", name="429/53 Too many requests").click()
    page.get_by_label("come before the 201").fill("25")
    page.get_by_label("Latency").fill("0.4")
    page.locator("#alarm li").nth(1).wait_for()
    page.mouse.move(5, 5)
    page.locator("#notice:empty").wait_for(state="attached")


def main() -> None:
    sandbox, ended = orange(), threading.Event()
    with Served(sandbox) as server, sync_playwright() as playwright:
        client = connected(sandbox, server.base_url)
        sender = threading.Thread(target=campaign, args=(client,), kwargs={"until": ended})
        sender.start()
        time.sleep(MINUTE)
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )

        def picture(name: str, path: str, size: tuple[int, int], **settings: object) -> Page:
            context = chromium.new_context(
                viewport={"width": size[0], "height": size[1]}, locale="en-GB", **settings
            )
            page = context.new_page()
            page.goto(server.base_url + path)
            page.locator("#list .row").first.wait_for(state="attached")
            ACTS[name](page)
            page.wait_for_timeout(600)
            page.screenshot(path=HERE / f"{name}.png")
            return page

        for name, path, size, settings in PICTURES:
            picture(name, path, size, **settings)
        ended.set()
        sender.join()


ACTS = {
    "inbox": one_time_code,
    "inbox-dark": one_time_code,
    "inbox-phone": lambda page: page.locator("#list .row").first.wait_for(),
    "faults": set_faults,
}
PHONE = {"device_scale_factor": 2, "has_touch": True}
PICTURES = [
    ("inbox", "/", (1360, 860), {}),
    ("inbox-dark", "/?lang=fr", (1360, 860), {"color_scheme": "dark"}),
    ("inbox-phone", "/?lang=fr", (390, 844), PHONE),
    ("faults", "/#/faults", (1360, 1010), {}),
]

if __name__ == "__main__":
    main()
