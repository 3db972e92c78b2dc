"""The site that `make docs` builds: without a warning, without a foreign address, on any screen."""

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest
from pages.written import ROOT

import orange_sms_async

LOADS = {"link", "script", "img", "iframe", "source", "video", "audio", "object", "embed", "use"}
PHONE = {"width": 390, "height": 844}
# The site as it is configured, from pages and to a folder of the test.
ELSEWHERE = """
INHERIT: {root}/mkdocs.yml
docs_dir: {folder}/pages
site_dir: {folder}/site
theme:
  custom_dir: {root}/docs/theme
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build it anew."""
    folder = tmp_path_factory.mktemp("site")
    outside = folder / "mkdocs.yml"
    outside.write_text(ELSEWHERE.format(root=ROOT, folder=folder), "utf-8")
    mkdocs = Path(sys.executable).with_name("mkdocs")
    for command in (
        [sys.executable, ROOT / "docs" / "outside.py", folder / "pages"],
        [mkdocs, "build", "--strict", "--config-file", outside],
    ):
        quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
        done = subprocess.run(command, env=quiet, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return folder / "site"


class Loaded(HTMLParser):
    """Collects the addresses that a browser fetches by itself."""

    def __init__(self):
        super().__init__()
        self.addresses = []

    def handle_starttag(self, tag, attributes):
        if tag in LOADS:
            self.addresses += [value for name, value in attributes if name in ("src", "href")]


def html(site):
    return sorted(site.rglob("*.html"))


def test_nothing_is_loaded_from_elsewhere(site):
    """
    No page, style sheet or picture names another host for what a browser fetches by itself.
    """
    parser = Loaded()
    for page in html(site):
        parser.feed(page.read_text("utf-8"))
    pictures = [picture.read_text("utf-8") for picture in site.rglob("*.svg")]
    styles = [style.read_text("utf-8") for style in site.rglob("*.css")]

    assert 20 < len(html(site))
    assert [] == [found for found in parser.addresses if found and urlsplit(found).netloc]
    assert [] == [text for text in pictures if "url(http" in text or 'href="http' in text]
    assert [] == [text for text in styles if "url(http" in text or "@import" in text]


def test_arguments_are_a_list(site):
    """
    The reference shows each with its type, from where a docstring says `Args:`.
    """
    reference = (site / "reference.html").read_text("utf-8")
    listed = re.findall(r"<li class=.*?</li>", reference, re.DOTALL)
    words = [re.sub(r"<[^>]+>|\s+", " ", item).split() for item in listed]

    assert ["max_body", "(", "int", ",", "default:", "65536", ")"] in [said[:7] for said in words]


def test_french_pages_say_so(site):
    """
    To browsers and screen readers.
    """
    french = {page for page in html(site) if '<html lang="fr"' in page.read_text("utf-8")}

    assert {page for page in html(site) if page.parent.name == "fr"} == french


@pytest.fixture(scope="module")
def address(site):
    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=site)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_on_a_phone(site, address, chromium):
    """
    No page is wider than the screen, asks another host for anything, or misses a file.
    """
    context = chromium.new_context(viewport=PHONE)
    page, asked, missing, wide = context.new_page(), [], [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("response", lambda answer: missing.extend([answer.url] * (answer.status >= 400)))
    for file in html(site):
        if file.name == "404.html":  # it is served at any address, and so names files from the root
            continue
        page.goto(f"{address}/{file.relative_to(site)}")
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wide.append(file.name)
    context.close()

    assert {urlsplit(address).netloc} == {urlsplit(url).netloc for url in asked}
    assert ([], []) == (missing, wide)


@pytest.mark.parametrize("where", ["server", "folder"])
def test_search(where, site, chromium, request):
    """
    It finds a word, with a server and without one.
    """
    root = request.getfixturevalue("address") if where == "server" else site.as_uri()
    page = chromium.new_page()
    page.goto(f"{root}/index.html")
    page.get_by_placeholder("Search").focus()
    page.get_by_text("Type to start searching").wait_for()
    page.get_by_placeholder("Search").press_sequentially("OutcomeUnknown")
    page.locator(".md-search-result__link").first.wait_for()

    assert 1 < page.locator(".md-search-result__link").count()
    page.close()


@pytest.mark.parametrize("word", ["wsgi", "logging", "prometheus", "workers", "journaux"])
def test_the_words_that_people_look_for_are_found(site, word):
    index = json.loads((site / "search" / "search_index.json").read_text("utf-8"))
    found = [place["location"] for place in index["docs"] if word in place["text"].lower()]

    assert found


def test_assistants_are_led_to_every_page(site):
    """
    A title, a sentence, and a line for each page with what it is about.
    """
    title, _, sentence, *lines = (site / "llms.txt").read_text("utf-8").splitlines()
    links = [re.fullmatch(r"- \[.+\]\((\S+)\): .+\.", line) for line in lines if line[:1] == "-"]
    pages = {str(page.relative_to(site)) for page in html(site)} - {"404.html"}

    assert ("# orange-sms-async", "> ") == (title, sentence[:2])
    assert pages == {link and link[1] for link in links}


def test_assistants_read_the_reference_written_out(site):
    """
    Signatures and docstrings of all public names, as no page of Markdown has them.
    """
    full = (site / "llms-full.txt").read_text("utf-8")

    assert [] == re.findall("^::: .*", full, re.MULTILINE)
    assert [] == [n for n in orange_sms_async.__all__ if f"\n### `orange_sms_async.{n}" not in full]
    assert "### `Client.attempt(self, message: OutboundMessage) -> SentMessage`" in full
