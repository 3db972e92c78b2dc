"""The sandbox's own page, and the JSON API under `/_sandbox/` that it is made of."""

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from orange_sms_async.sandbox.control import static
from orange_sms_async.sandbox.control.changes import Changes
from orange_sms_async.sandbox.control.guard import Guard
from orange_sms_async.sandbox.control.views import Shown

if TYPE_CHECKING:
    from orange_sms_async.sandbox.sandbox import Sandbox


def desk(sandbox: "Sandbox") -> ASGIApp:
    guard = Guard()
    shown, changes = Shown(sandbox, guard.token), Changes(sandbox)
    app = Starlette(
        routes=[*static.routes(), *shown.routes(), *changes.routes()],
        exception_handlers={HTTPException: _refused},
    )
    app.router.redirect_slashes = False
    guard.inside = app
    return guard


async def _refused(_: Request, refusal: Exception) -> Response:
    if not isinstance(refusal, HTTPException):  # said for type checkers
        raise refusal
    return JSONResponse({"error": refusal.detail}, refusal.status_code, refusal.headers)
