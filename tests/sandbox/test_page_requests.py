"""The page's refused requests, and the answers of a recipient."""

import httpx
import pytest
from playwright.sync_api import expect

from orange_sms_async.sandbox import Sandbox


@pytest.fixture
def sandbox():
    endpoint = httpx.MockTransport(lambda _: httpx.Response(202))
    return Sandbox(
        rate=None,
        seed=1,
        reply_url="https://example.org/replies",
        receipt_transport=endpoint,
    )


def refusals(page):
    return page.locator(".refusal")


def test_a_refusal_is_seen_as_it_happens(visit, program):
    """
    With its status, its path and the rule that was broken; in full at a click.
    """
    page = visit("/#/requests")
    expect(page.get_by_text("Nothing was refused.")).to_be_visible()
    program.send(senderName="Nobody")
    expect(refusals(page)).to_have_count(1)
    page.locator(".refusal > summary").click()

    expect(refusals(page)).to_contain_text("400")
    expect(refusals(page)).to_contain_text("Orange has not approved this senderName")
    expect(page.locator(".full pre").nth(1)).to_contain_text('"senderName":"Nobody"')
    expect(page.locator(".full pre").nth(3)).to_contain_text("SVC0002")
    assert program.client.headers["Authorization"] not in page.content()


def test_a_refusal_in_french(visit, program, sandbox):
    """
    The rule, and a fault that was set.
    """
    sandbox.fail_next("503/5")
    program.send()
    program.client.get("/nothing")
    page = visit("/?lang=fr#/requests")

    expect(refusals(page).first).to_contain_text("Orange n’a aucune opération à ce chemin.")
    expect(refusals(page).last).to_contain_text("Panne provoquée\u00a0: 503/5")


def test_refusals_are_searched_and_bounded(visit, program):
    """
    The newest come first; older ones when asked for.
    """
    for number in range(60):
        program.client.get(f"/nothing/{number}")
    page = visit("/#/requests")
    expect(refusals(page)).to_have_count(50)
    expect(refusals(page).first).to_contain_text("/nothing/59")
    page.get_by_role("button", name="Older requests").click()
    expect(refusals(page)).to_have_count(60)
    page.get_by_label("Search requests").fill("/nothing/7")

    expect(refusals(page)).to_have_count(1)


def test_the_keyboard_opens_a_refusal(visit, program):
    """
    Tab to it, Enter, and it is open.
    """
    program.client.get("/nothing")
    page = visit("/#/requests")
    expect(refusals(page)).to_have_count(1)
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.refusal > summary')"):
            break
    page.keyboard.press("Enter")

    expect(page.locator(".full")).to_contain_text("GET /nothing")


def test_a_recipient_answers_on_the_phone(visit, program, sandbox):
    """
    The answer goes to the endpoint, and stands below what was answered.
    """
    program.send("Répondez OUI", to="+2250700000001")
    page = visit("/#/recipient/+2250700000001")
    page.get_by_label("Reply as this recipient").fill("OUI <b>")
    page.keyboard.press("Enter")

    expect(page.locator(".bubble.own")).to_contain_text("OUI <b>")
    expect(page.locator(".bubble.own")).to_contain_text("Your endpoint answered 202")
    expect(page.locator(".bubbles li")).to_have_count(2)
    expect(page.locator(".bubbles li").last).to_contain_text("OUI")
    assert "OUI <b>" == sandbox.replies[0].text


@pytest.mark.parametrize("picked", [0, 20, 39])
def test_a_message_is_in_sight_on_the_phone(visit, program, sandbox, picked):
    """
    However many others are there, and wherever it stands among them.
    """
    for number in range(40):
        program.send(f"{number} " + "long " * 20)
    page = visit(f"/#/message/{sandbox.sent[picked].resource_id}")
    bubble = page.locator(".bubble[aria-current]")
    expect(bubble).to_be_visible()
    page.wait_for_function(
        """() => {
          const [seen, screen] = [".bubble[aria-current]", ".screen"].map((each) =>
            document.querySelector(each).getBoundingClientRect());
          return screen.top <= seen.top && seen.bottom <= screen.bottom;
        }"""
    )

    expect(bubble).to_contain_text(f"{picked} long")


def test_a_reset_is_seen(visit, program, sandbox):
    """
    All lists are empty again, without a reload.
    """
    program.client.get("/nothing")
    program.send()
    page = visit("/#/requests")
    expect(refusals(page)).to_have_count(1)
    sandbox.reset()

    expect(refusals(page)).to_have_count(0)
    expect(page.locator("#list .row")).to_have_count(0)
