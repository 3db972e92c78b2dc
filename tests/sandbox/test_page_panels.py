"""The page's account, faults and rate: what is set there is set for programs, and shown at once."""

import httpx
import pytest
from playwright.sync_api import expect

from orange_sms_async.sandbox import Sandbox


@pytest.fixture
def sandbox(request):
    return Sandbox(rate=getattr(request, "param", None), seed=1)


def test_a_fault_set_on_the_page_changes_the_next_answer(visit, program):
    """
    It can be seen that a fault is set, until the request came that meets it.
    """
    page = visit("/#/faults")
    page.get_by_role("button", name="503/6 Over capacity").click()
    expect(page.locator("#alarm")).to_contain_text("1 fault is active")
    expect(page.locator("#alarm")).to_contain_text("Next message: 503/6 Over capacity")

    assert (503, 201) == (program.send().status_code, program.send().status_code)
    expect(page.locator("#alarm")).to_be_empty()


def test_a_fault_by_chance_and_all_back_to_normal(visit, program, sandbox):
    """
    A share of requests meets it, until all is put back to normal with one button.
    """
    page = visit("/#/faults")
    page.get_by_label("Probability in percent").fill("100")
    page.get_by_role("button", name="429/53 Too many requests").click()
    expect(page.locator("#alarm")).to_contain_text("100% of messages: 429/53")
    refused = [program.send().status_code for _ in range(3)]
    page.locator("#alarm").get_by_role("button", name="End all faults").click()
    expect(page.locator("#alarm")).to_be_empty()

    assert [429, 429, 429, 201] == [*refused, program.send().status_code]
    assert sandbox.faults.chance is None


def test_a_dropped_line(visit, program):
    """
    The next so many requests can be left without an answer, and the page counts them.
    """
    page = visit("/#/faults")
    page.get_by_label("How many requests").fill("2")
    page.get_by_role("button", name="Send it, then drop the connection").click()
    expect(page.locator("#alarm")).to_contain_text("Next 2 messages: ")
    for _ in range(2):
        with pytest.raises(httpx.RemoteProtocolError):
            program.send()

    expect(page.locator("#alarm")).to_be_empty()
    expect(page.locator(".figure.unanswered dd")).to_have_text("2")


def test_the_line_and_the_receipts(visit, sandbox):
    """
    Each slider sets what it names as soon as it is let go, by keyboard too.
    """
    page = visit("/#/faults")
    page.get_by_label("Latency").fill("0.5")
    page.get_by_label("come before the 201").press("End")
    page.get_by_label("Say this status instead").fill("SomethingElse")
    page.get_by_label("Say this status instead").press("Enter")
    expect(page.locator("#alarm")).to_contain_text("3 faults are active")

    assert 0.5 == sandbox.latency
    assert 1.0 == sandbox.receipt_faults.before_answer
    assert "SomethingElse" == sandbox.receipt_faults.status
    assert 0.0 == sandbox.receipt_faults.doubled


def test_a_fault_set_by_a_program_is_shown(visit, sandbox):
    """
    The page has no state of its own, and names what it has never heard of.
    """
    page = visit()
    sandbox.fail_next(418, message_id="SVC9999", times=3)

    expect(page.locator("#alarm")).to_contain_text("Next 3 messages: 418/SVC9999")


def test_the_account_is_edited(visit, sandbox):
    """
    A bundle is bought, units are set, and the contract expires: for programs as for the page.
    """
    page = visit("/#/account")
    contract = page.locator(".contracts .contract", has_text="Senegal")
    contract.locator("summary").click()
    contract.get_by_label("Units left").fill("7")
    contract.get_by_role("button", name="Save").click()
    expect(contract.locator("summary")).to_contain_text("7 units")
    contract.get_by_label("Units", exact=True).fill("500")
    contract.get_by_role("button", name="Buy a bundle").click()
    expect(contract.locator("summary")).to_contain_text("507 units")
    contract.get_by_role("button", name="Let it expire now").click()
    expect(contract.locator("summary")).to_contain_text("Expired")

    assert 507 == sandbox.account.contract("SEN").available_units
    assert "EXPIRED" == sandbox.account.contract("SEN").status


def test_a_sender_name_is_approved_and_taken_back(visit, program):
    """
    Messages under it pass exactly as long as it is approved.
    """
    page = visit("/#/account")
    refused = program.send(senderName="Ma Boutique").status_code
    page.get_by_label("Sender name").fill("Ma Boutique")
    page.get_by_role("button", name="Approve").click()
    expect(page.locator("#notice")).to_have_text("Ma Boutique is approved.")
    passed = program.send(senderName="Ma Boutique").status_code
    page.get_by_role("button", name="Withdraw the approval of Ma Boutique").click()
    expect(page.locator(".names")).not_to_contain_text("Ma Boutique")

    assert [400, 201, 400] == [refused, passed, program.send(senderName="Ma Boutique").status_code]


def test_the_token_in_use_expires(visit, program):
    """
    It is shown with its age, and too old at a click.
    """
    page = visit("/#/account")
    expect(page.locator(".tokens li")).to_contain_text("left")
    page.get_by_role("button", name="Expire the token now").click()
    expect(page.locator(".tokens li")).to_contain_text("Expired")

    assert 42 == program.send().json()["code"]


def test_units_go_with_every_message(visit, program):
    """
    The account is live, too.
    """
    page = visit("/#/account")
    program.send("x" * 161)

    expect(page.locator(".contract", has_text="SMS_OCB").nth(2)).to_contain_text("9,999,998 units")


@pytest.mark.parametrize("sandbox", [2.0], indirect=True)
def test_the_rate_strip_shows_pacing(visit, program):
    """
    Arrivals against the limit; what was refused differs in shape; all of it in words as well.
    """
    page = visit()
    statuses = [program.send().status_code for _ in range(5)]
    refused = statuses.count(403)

    expect(page.locator(".figure.arrived dd")).to_have_text("5")
    expect(page.locator(".figure.refused dd")).to_have_text(str(refused))
    expect(page.locator(".limit-word")).to_have_text("2 a second")
    chart = page.get_by_role("img", name=f"5 messages arrived; {refused} were refused")
    expect(chart).to_be_visible()
    drawn = chart.locator("rect.refused:not([height='0'])").first
    assert 'url("#hatch")' == drawn.evaluate("rect => getComputedStyle(rect).fill")
    assert refused
