"""The page and its API as one ASGI app: their paths, behind a guard."""

import secrets

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from orange_sms_async.sandbox.control import static
from orange_sms_async.sandbox.control.changes import Changes
from orange_sms_async.sandbox.control.guard import Guard
from orange_sms_async.sandbox.control.views import Views


def control_app(views: Views, changes: Changes) -> Guard:
    """
    Put the page, what it shows and what it changes behind one guard.

    Args:
        views: the paths that show something.
        changes: the paths that change something, with the token, which anyone here can read.

    Returns:
        An ASGI app for HTTP requests.
    """
    token = secrets.token_urlsafe(24)

    async def tell_token(_: Request) -> Response:
        return JSONResponse({"token": token})

    routes = [*static.routes(), Route("/_sandbox/token", tell_token)]
    app = Starlette(
        routes=[*routes, *views.routes(), *changes.routes()],
        exception_handlers={HTTPException: _refused, ClientDisconnect: _left},
    )
    app.router.redirect_slashes = False
    return Guard(app, token)


async def _refused(_: Request, refusal: Exception) -> Response:
    if not isinstance(refusal, HTTPException):  # said for type checkers
        raise refusal
    return JSONResponse({"error": refusal.detail}, refusal.status_code, refusal.headers)


class _NoAnswer(Response):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send nothing: nobody is left to read it."""


async def _left(_: Request, __: Exception) -> Response:
    return _NoAnswer()
