"""The page's files, and the language it speaks."""

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

_FILES = Path(__file__).parent.parent / "page"
_LANGUAGES = ("en", "fr")


def routes(token: str) -> list[BaseRoute]:
    async def index(request: Request) -> Response:
        try:
            page = (_FILES / "index.html").read_text(encoding="utf-8")
        except FileNotFoundError:
            raise HTTPException(404) from None
        return HTMLResponse(page.replace("{{token}}", token).replace("{{lang}}", language(request)))

    files = StaticFiles(directory=_FILES, check_dir=False)
    return [Route("/", index), Mount("/_sandbox/page", files)]


def language(request: Request) -> str:
    """Choose by `?lang=`, else by what the browser asks for first."""
    asked = request.query_params.get("lang", "")
    if asked in _LANGUAGES:
        return asked
    for wanted in request.headers.get("accept-language", "").split(","):
        first = wanted.strip()[:2].lower()
        if first in _LANGUAGES:
            return first
    return _LANGUAGES[0]
