"""Every web application that a page builds up, imported and served as a server does it."""

import ast

import httpx
import pytest
from cli.served import served_sandbox
from pages.server import uvicorn
from pages.written import FRENCH, PAGES, blocks, name

FRAMEWORKS = {"FastAPI", "Starlette", "Litestar"}


def apps(code):
    """The names that a module gives to applications."""
    for made in ast.parse(code).body:
        match made:
            case ast.Assign([ast.Name(app)], ast.Call(ast.Name(framework))):
                if framework in FRAMEWORKS:
                    yield app


def modules(page):
    """Yield each application and the page's Python up to it, one after the other in one module."""
    before = ""
    for block in blocks(page):
        if block.language == "python" and not block.title:
            before += block.code
            for app in apps(block.code):
                yield app, before


SERVED = {
    f"{name(page)}:{app}": (app, code)
    for page in PAGES
    if page not in FRENCH
    for app, code in modules(page)
}


@pytest.fixture(scope="module")
def sandbox():
    with served_sandbox("--rate", "off") as sandbox:
        yield sandbox


@pytest.mark.parametrize("app", SERVED)
def test_a_server_imports_and_starts_it(app, tmp_path, sandbox, monkeypatch):
    """
    Outside of an event loop first; then its lifespan begins, it answers, and its lifespan ends.
    """
    monkeypatch.setenv("RECEIPTS_SECRET", "made-up-by-token-urlsafe")
    found, code = SERVED[app]
    (tmp_path / "page.py").write_text(code, "utf-8")
    with (
        uvicorn(f"page:{found}", tmp_path, sandbox.environment) as url,
        httpx.Client(trust_env=False) as client,
    ):
        answer = client.get(f"{url}/nothing-of-this-name")

    assert 404 == answer.status_code
