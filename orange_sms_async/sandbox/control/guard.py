"""Who may see the sandbox's page, and who may change something."""

import hmac
import ipaddress

import attrs
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'"
)
_ALWAYS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


@attrs.define(eq=False)
class Guard:
    """
    Refuses changes by another site's page, which may be open in the same browser.

    Such a page can send requests here but read nothing. Every change needs a token, which only this
    page and programs can read. A site whose name was later pointed at this machine (DNS rebinding)
    gives itself away by its `Host`, which is a name. A page opened by an IP address cannot be moved
    to another one.

    Attributes:
        inside: the app behind the guard.
        token: what each change must send as `X-Sandbox-Token`.
    """

    inside: Starlette
    _token: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(raw=message["headers"]).update(_ALWAYS)
            await send(message)

        refusal = self._refusal(scope)
        answer = self.inside if refusal is None else JSONResponse({"error": refusal}, 403)
        await answer(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> str | None:
        headers, server = Headers(scope=scope), scope.get("server")
        host = _name(headers.get("host", ""))
        if server and _is_loopback(server[0]) and not (_is_address(host) or host == "localhost"):
            return "the Host of a sandbox on this machine must be localhost or an IP address"
        if scope["method"] in {"GET", "HEAD"}:
            return None
        offered = headers.get("x-sandbox-token", "")
        if not hmac.compare_digest(offered.encode(), self._token.encode()):
            return "X-Sandbox-Token is missing or old: GET /_sandbox/token returns the current one"
        return None


def from_another_site(scope: Scope) -> bool:
    """
    Say whether a browser sends a request on behalf of another site's page.

    Such a page can read no answer and has no token, but it could use up the 50 tokens of a minute.
    """
    headers = Headers(scope=scope)
    if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        return True
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != headers.get("host")


def _name(host: str) -> str:
    """Return a Host header without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _is_loopback(host: str) -> bool:
    return _is_address(host) and ipaddress.ip_address(host).is_loopback


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
