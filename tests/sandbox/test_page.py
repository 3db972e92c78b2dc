"""The page's messages: in a list, on a phone, in full."""

import re

import httpx
import pytest
from playwright.sync_api import expect

from orange_sms_async.sandbox import Sandbox

HOSTILE = {
    "markup": "<script>alert(1)</script><img src=x onerror=alert(2)> &amp; </p></li>",
    "right to left": "\u202eمرحبا بك <b>1</b> \u2066",
    "long": "W" * 24 + "😀" * 1_976,  # 2,000 characters
}


def rows(page):
    return page.locator("#list .row")


def taken_by_nobody(request):
    return httpx.Response(418, text="<b>teapot</b>")


@pytest.fixture
def sandbox():
    """
    Post receipts to an endpoint of a bad kind, and by themselves only after an hour.
    """
    return Sandbox(
        rate=None,
        seed=1,
        longest_message=2_000,
        receipt_url="https://example.org/receipts",
        receipt_delay=3600,
        receipt_transport=httpx.MockTransport(taken_by_nobody),
    )


def test_messages_appear_without_reload(visit, program):
    """
    Whoever looks at the page sees what arrives, newest first, as long as it is open.
    """
    page = visit()
    expect(page.locator("#nothing")).to_have_text("No message yet.")
    program.send("the first")
    expect(rows(page)).to_have_count(1)
    program.send("the second", senderName="MonService")

    expect(rows(page)).to_have_count(2)
    expect(rows(page).first).to_contain_text("+225 07 00 00 00 01")
    expect(rows(page).first).to_contain_text("the second")
    expect(rows(page).first).to_contain_text("MonService")
    expect(rows(page).last).to_contain_text("SMS 123456")
    expect(page.locator("#announcer")).to_contain_text("new message")


def test_the_line_comes_back(visit, program, sandbox):
    """
    A browser that was cut off says so, connects again and finds what it missed.
    """
    page = visit()
    expect(page.locator("#live")).to_have_text("Live")
    (watcher,) = sandbox.events._watchers
    watcher.loop.call_soon_threadsafe(sandbox.events.close)
    expect(page.locator("#live")).to_have_text("Reconnecting…")
    program.send("meanwhile")

    expect(rows(page)).to_have_count(1)
    expect(page.locator("#live")).to_have_text("Live")


def test_a_phone_for_each_recipient(visit, program):
    """
    It holds what its number received, under the sender names it shows, oldest first.
    """
    program.send("Votre code est 482913", senderName="MonService")
    program.send("for somebody else", to="+2250700000002")
    program.send("x" * 161)
    page = visit("/#/recipient/+2250700000001")

    expect(page.get_by_role("heading", name="+225 07 00 00 00 01")).to_be_visible()
    expect(page.locator(".bubble")).to_have_count(2)
    expect(page.locator(".bubble").first).to_contain_text("Votre code est 482913")
    expect(page.locator(".bubble").last).to_contain_text("2 segments")
    expect(page.locator(".sender")).to_have_text(["MonService", "SMS 123456"])


def test_the_status_changes_as_receipts_go_out(visit, program):
    """
    In the list, on the phone and in full, with what the user's endpoint answered.
    """
    sent = program.send().headers["Location"].rpartition("/")[2]
    page = visit(f"/#/message/{sent}")
    expect(page.locator(".bubble .badge")).to_have_text("Accepted")
    page.get_by_label("Post a receipt now").select_option("DeliveryImpossible")
    page.get_by_role("button", name="Post", exact=True).click()

    expect(page.locator(".bubble .badge")).to_have_text("Impossible")
    expect(rows(page).locator(".badge")).to_have_text("Impossible")
    expect(page.locator(".timeline .outcome")).to_have_text("Your endpoint answered 418")
    page.get_by_text("As posted").click()
    expect(page.locator(".timeline pre")).to_have_text([re.compile(sent), "<b>teapot</b>"])


def test_a_message_in_full(visit, program):
    """
    Request and answer are shown as they were, but for the token.
    """
    program.send("the text")
    page = visit()
    rows(page).click()
    detail = page.get_by_role("region", name="Message in detail")

    expect(detail).to_contain_text("POST /smsmessaging/v1/outbound/tel%3A%2B2250000/requests")
    expect(detail.locator("pre").nth(1)).to_contain_text('"message":"the text"')
    expect(detail.locator("pre").nth(3)).to_contain_text('"resourceURL":')
    assert program.client.headers["Authorization"] not in page.content()
    assert "Bearer …" in page.content()
    assert re.search(r"#/message/[0-9a-f-]{36}$", page.url)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_text_is_text(visit, program, text):
    """
    It is shown as it is, in its own direction, within a narrow screen, and runs nothing.
    """
    asked = []

    def noted(dialog):
        asked.append(dialog.message)
        dialog.dismiss()

    program.send(text)
    page = visit(viewport={"width": 360, "height": 740})
    page.on("dialog", noted)
    rows(page).click()
    bubble = page.locator(".bubble p")

    expect(bubble).to_be_visible()
    assert text == bubble.evaluate("p => p.textContent")
    assert text == page.locator(".whole-text").evaluate("p => p.textContent")
    assert "auto" == bubble.get_attribute("dir")
    assert 360 == page.evaluate("document.documentElement.scrollWidth")
    assert 0 == page.locator("main script, main img[src=x]").count()
    assert [] == asked


@pytest.mark.parametrize("sought", ["07 00 00 00 02", "rendez-vous", "the resource id"])
def test_search(visit, program, sought):
    """
    A message is found by its number as people write it, by its text, by its resource id.
    """
    sent = program.send("Rappel de rendez-vous", to="+2250700000002")
    program.send("another")
    page = visit()
    expect(rows(page)).to_have_count(2)
    if sought == "the resource id":
        sought = sent.headers["Location"].rpartition("/")[2]
    page.get_by_label("Search messages").fill(sought)

    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("Rappel de rendez-vous")


def test_by_recipient_and_emptied(visit, program):
    """
    The list can be of recipients, each with how many it got, and can be emptied.
    """
    program.send("one")
    program.send("two")
    page = visit()
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Recipients").click()
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("2 messages")
    page.get_by_role("button", name="Empty the inbox").click()

    expect(rows(page)).to_have_count(0)
    expect(page.locator("#notice")).to_have_text("The inbox is empty.")


def test_many_messages_keep_the_page_small(visit, program):
    """
    The list holds its newest two hundred; older ones come when asked for.
    """
    page = visit()
    for i in range(230):
        program.send(f"number {i}")
    expect(rows(page).first).to_contain_text("number 229")
    expect(rows(page)).to_have_count(200)
    page.get_by_role("button", name="Older messages").click()

    expect(rows(page)).to_have_count(230)
    expect(rows(page).last).to_contain_text("number 0")
    expect(page.get_by_role("button", name="Older messages")).to_be_hidden()


def test_the_keyboard_reaches_a_message_and_comes_back(visit, program):
    """
    Tab to the row, Enter into the message, Escape back to the row.
    """
    program.send()
    page = visit()
    expect(rows(page)).to_have_count(1)
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.row')"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Message in detail")).to_be_focused()
    page.keyboard.press("Escape")

    expect(rows(page)).to_be_focused()
    assert "solid" == rows(page).evaluate("row => getComputedStyle(row).outlineStyle")
