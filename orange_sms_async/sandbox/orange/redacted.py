"""An exchange as people may see it, without the client's secrets."""

import re

from orange_sms_async.sandbox.orange.answers import Answer
from orange_sms_async.sandbox.orange.evidence import Exchange
from orange_sms_async.sandbox.orange.incoming import Incoming

_AUTHORIZATION = {"authorization", "proxy-authorization"}
_HIDDEN = {"cookie", "x-api-key"}

# In a form, a query string or JSON, well written or not.
_SECRET = re.compile(
    r"""((?:client_secret|access_token|password|refresh_token)["']?\s*[=:]\s*["']?)[^"'&,}\s]+""",
    re.IGNORECASE,
)


def exchange(incoming: Incoming, answer: Answer | None, request_id: str) -> Exchange:
    """Record a request and its answer."""
    body = incoming.body if isinstance(incoming.body, bytes) else b""
    return Exchange(
        method=incoming.method,
        path=_without_secrets(incoming.target),
        headers=[(name, _shown(name, value)) for name, value in incoming.pairs],
        body=_without_secrets(body.decode(errors="replace")),
        status=answer.status if answer else None,
        answer_headers=answer.all_headers(request_id) if answer else [],
        answer_body=answer.body.decode(errors="replace") if answer else "",
    )


def _without_secrets(text: str) -> str:
    return _SECRET.sub(r"\1…", text)


def _shown(name: str, value: str) -> str:
    if name in _HIDDEN:
        return "…"
    if name not in _AUTHORIZATION:
        return value
    scheme, space, secret = value.partition(" ")
    # A client that forgot the scheme has written the secret alone.
    shown = scheme if scheme.lower() in {"bearer", "basic"} else ""
    return shown + space + "…" * bool(secret or not shown)
