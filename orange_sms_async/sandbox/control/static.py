"""The page's files and its language."""

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

_FILES = Path(__file__).parent.parent / "page"
_LANGUAGES = ("en", "fr")

# Not from the machine's own table, which can say anything.
_KINDS = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}


def routes() -> list[Route]:
    """List the paths."""
    return [Route("/", _index), Route("/_sandbox/page/{name}", _file)]


async def _index(request: Request) -> Response:
    page = (_FILES / "index.html").read_text(encoding="utf-8")
    return HTMLResponse(page.replace("{{lang}}", _language(request)))


async def _file(request: Request) -> Response:
    # Read here, not in a thread: on a clock that jumps, a thread is always too slow.
    for path in _FILES.iterdir():
        if path.name == request.path_params["name"] and path.suffix in _KINDS:
            return Response(path.read_bytes(), media_type=_KINDS[path.suffix])
    raise HTTPException(404)


def _language(request: Request) -> str:
    """Choose by `?lang=`, else by what the browser asks for first."""
    asked = request.query_params.get("lang", "")
    if asked in _LANGUAGES:
        return asked
    for wanted in request.headers.get("accept-language", "").split(","):
        first = wanted.strip()[:2].lower()
        if first in _LANGUAGES:
            return first
    return _LANGUAGES[0]
