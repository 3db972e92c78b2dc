"""The page for everyone: axe finds nothing to complain of, and the keyboard reaches all of it."""

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import expect

pytestmark = pytest.mark.real_time  # the page and its server have clocks of their own

CONTROLS = "a[href], button, input, select, textarea, summary"
UNREACHED = f"""() => [...document.querySelectorAll('{CONTROLS}')]
    .filter((one) => one.checkVisibility() && !one.disabled && one.tabIndex >= 0)
    .filter((one) => one.type !== 'radio' || one.checked)
    .filter((one) => !one.dataset.reached).map((one) => one.outerHTML.slice(0, 80))"""
REACH = """() => document.addEventListener('focusin', ({ target: one }) => {
    const style = getComputedStyle(one);
    const shown = style.outlineStyle !== 'none' || style.boxShadow !== 'none';
    one.dataset.reached = shown ? 'seen' : 'unseen';
})"""
UNSEEN = """() => [...document.querySelectorAll('[data-reached=unseen]')]
    .map((one) => one.outerHTML.slice(0, 80))"""
VIOLATIONS = "axe.run({resultTypes: ['violations']}).then((found) => found.violations)"


@pytest.fixture
def views(program, sandbox):
    """Something to be seen in each view; their addresses."""
    program.send("Votre code est 4821.", senderName="MonService")
    program.send("Répondez OUI", to="+2250700000001")
    program.send(senderName="Nobody")
    sandbox.fail_next("429/53", times=3)
    last = sandbox.sent[-1].resource_id
    shown = ("", f"message/{last}", "recipient/+2250700000001", "requests", "account", "faults")
    return [f"#/{view}" for view in shown]


@pytest.mark.parametrize("width", [1360, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "fr"])
def test_axe_finds_no_violation(visit, views, language, scheme, width):
    page = visit(
        f"/?lang={language}", color_scheme=scheme, viewport={"width": width, "height": 860}
    )
    found = {}
    page.evaluate(Axe().axe_script)
    for view in views:
        page.goto(f"{page.url.partition('#')[0]}{view}")
        if view == "#/requests":
            page.locator(".refusal > summary").first.click()
            expect(page.locator(".full").first).to_be_visible()
        if violations := page.evaluate(VIOLATIONS):
            found[view] = [(each["id"], each["nodes"][0]["target"]) for each in violations]

    assert {} == found


def test_the_keyboard_reaches_every_control(visit, views):
    """
    And where the focus is can be seen.
    """
    page, unreached, unseen = visit(), {}, {}
    page.evaluate(REACH)
    for view in views:
        page.goto(f"{page.url.partition('#')[0]}{view}")
        expect(page.locator("main")).to_be_visible()
        page.evaluate("document.activeElement.blur()")
        for _ in range(page.locator(CONTROLS).count() + 5):
            page.keyboard.press("Tab")
        if not_seen := page.evaluate(UNSEEN):
            unseen[view] = not_seen
        if missed := page.evaluate(UNREACHED):
            unreached[view] = missed

    assert ({}, {}) == (unreached, unseen)
