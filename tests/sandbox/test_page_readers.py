"""The page for its readers: in English and French, on a phone, in the dark, for all eyes."""

import itertools
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from orange_sms_async import sandbox as sandbox_package
from orange_sms_async.sandbox.orange.faults import KNOWN
from orange_sms_async.sandbox.orange.wrong import Wrong

PAGE = Path(sandbox_package.__file__).parent / "page"
VIEWS = ["/", "/#/recipient/+2250700000001", "/#/requests", "/#/account", "/#/faults"]

# Every element with text of its own whose contrast is too low (WCAG 2.2, 1.4.3), in words.
PALE = """() => {
  const brush = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const light = (color) => {
    brush.clearRect(0, 0, 1, 1);
    brush.fillStyle = color;
    brush.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...brush.getImageData(0, 0, 1, 1).data].map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    const color = getComputedStyle(element).backgroundColor;
    return color === "rgba(0, 0, 0, 0)" ? behind(element.parentElement) : color;
  };
  const seen = [...document.body.querySelectorAll("*")].filter((element) =>
    element.checkVisibility() && element.closest("svg") === null
    && [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
  return seen.map((element) => {
    const [a, b] = [light(getComputedStyle(element).color), light(behind(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    return contrast < 4.5 ? `${element.className} ${element.textContent} ${contrast}` : "";
  }).filter(Boolean);
}"""


def texts(language):
    return json.loads((PAGE / f"{language}.json").read_text("utf-8"))


def test_both_languages_say_the_same():
    """
    No text is missing in either, and both have the same fields.
    """
    english, french = texts("en"), texts("fr")

    rules = {f"wrong.{wrong.name}" for wrong in Wrong if wrong is not Wrong.FAULT}
    assert [*english] == [key for key in french if key not in rules]
    assert rules < {*french}  # the API says them in English
    for key, text in english.items():
        if key.endswith(".one"):
            continue  # English says "1 message" where French puts the number: its 0 is singular
        assert sorted(re.findall(r"{\w+}", text)) == sorted(re.findall(r"{\w+}", french[key]))


def test_french_has_its_typography():
    """
    Spaces before high punctuation do not break, and quotes and apostrophes are its own.
    """
    french = "\n".join(texts("fr").values())

    assert not re.search(r"(?<![\u00a0\u202f:])[:;?!»](?!\S)|«(?!\u00a0)", french)
    assert not re.search(r"['\"]|\.\.\.", french)


def test_every_text_is_there():
    """
    What the page says by name has words, and each fault that needs words of its own has them.
    """
    sources = [
        path.read_text("utf-8") for path in PAGE.iterdir() if path.suffix in {".js", ".html"}
    ]
    named = re.findall(r"""\bsay\("([\w.]+)"|data-(?:text|label)="([\w.]+)\"""", "\n".join(sources))
    said = {key.removesuffix(".one").removesuffix(".other") for key in texts("en")}
    faults = {f"fault.{name}" for name in KNOWN if not re.fullmatch(r"\d+/\d+", name)}

    assert {first or second for first, second in named} | faults <= said


@pytest.mark.parametrize(
    ("path", "settings"),
    [("/?lang=fr", {}), ("/", {"locale": "fr-CI"})],
    ids=["by ?lang=", "by Accept-Language"],
)
def test_french(visit, program, path, settings):
    """
    The whole page speaks it, numbers and countries as well.
    """
    program.send()
    page = visit(path, **settings)
    expect(page.locator("#list .row")).to_contain_text("1 segment")
    page.get_by_role("link", name="Compte").click()

    assert "fr" == page.evaluate("document.documentElement.lang")
    expect(page).to_have_title("Simulateur SMS")
    expect(page.locator(".contracts")).to_contain_text("Côte d’Ivoire")
    expect(page.locator(".contracts")).to_contain_text("10\u202f000\u202f000 unités")
    page.get_by_role("link", name="Pannes").click()
    page.get_by_role("button", name="Ne jamais répondre", exact=True).click()
    expect(page.locator("#alarm")).to_contain_text("1 panne est active")


def test_the_language_is_switched_where_one_is(visit):
    """
    The switch is seen, and keeps what is open.
    """
    page = visit("/#/faults")
    page.get_by_role("link", name="FR").click()

    expect(page.get_by_role("heading", name="Connexion lente")).to_be_visible()
    expect(page.get_by_role("link", name="FR")).to_have_attribute("aria-current", "true")


@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_narrow_screen(visit, program, language):
    """
    Nothing is wider than 360 pixels, and a message is opened and left.
    """
    program.send("W" * 300)
    page = visit(f"/?lang={language}", viewport={"width": 360, "height": 740})
    expect(page.locator("#list .row")).to_be_visible()
    for view in ["#/requests", "#/account", "#/faults", "#/"]:
        page.goto(page.url.partition("#")[0] + view)
        expect(page.locator(".tabs [aria-current=page]")).to_have_attribute("href", view)
        page.evaluate("document.querySelectorAll('details').forEach((each) => each.open = true)")
        assert 360 == page.evaluate("document.documentElement.scrollWidth")
    page.locator("#list .row").click()
    expect(page.locator("#list .row")).to_be_hidden()
    page.locator(".back").click()

    expect(page.locator("#list .row")).to_be_visible()


@pytest.mark.parametrize("width", [800, 1100, 1280])
def test_list_phone_and_detail_have_room(visit, program, width):
    """
    Where they stand side by side, none lies upon another.
    """
    program.send()
    page = visit(viewport={"width": width, "height": 800})
    page.locator("#list .row").click()
    parts = [page.locator(part).bounding_box() for part in [".inbox", ".phone", ".detail"]]

    for one, other in itertools.combinations(parts, 2):
        beside = one["x"] + one["width"] <= other["x"]
        assert beside or one["y"] + one["height"] <= other["y"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_contrast(visit, program, sandbox, scheme, view):
    """
    Every text has a contrast of at least 4.5 to what is behind it, in the light and in the dark.
    """
    program.send(to="+2250700000001")
    sandbox.fail_next("429/53")
    page = visit(view, color_scheme=scheme)
    expect(page.locator("#alarm")).not_to_be_empty()
    expect(page.locator("#list .row")).to_have_count(1)

    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (scheme == "dark") == (int(background.split("(")[1].split(",")[0]) < 128)
    assert [] == page.evaluate(PALE)


@pytest.mark.parametrize("view", VIEWS)
def test_names_for_those_who_listen(visit, program, view):
    """
    Every control has a name, every part a landmark, and no id is given twice.
    """
    program.send(to="+2250700000001")
    page = visit(view)
    controls = page.locator("button, a[href], input, select, summary").all()

    for control in controls:
        if control.is_visible():
            assert re.search(r'^- .?\w+ ".+"|^- \w+(\[.*\])?: \S', control.aria_snapshot())
    for landmark in ["banner", "navigation", "main"]:
        assert page.get_by_role(landmark).count()
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((each) => each.id)")
    assert len(ids) == len(set(ids))
