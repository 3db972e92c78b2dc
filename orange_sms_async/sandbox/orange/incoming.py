"""A request as it reached Orange, read completely before any check."""

import asyncio
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import attrs
from starlette.requests import Request

from orange_sms_async.sandbox.orange.answers import RefusalError, gateway_error, token_error
from orange_sms_async.sandbox.orange.wrong import Wrong

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.types import Receive, Scope

# A choice: Orange documents error 66, but not what is too large.
LARGEST_BODY = 64 * 1024

PATIENCE = 30.0  # seconds for a body: a choice, as Orange documents error 63 but no time


@attrs.frozen(eq=False)
class Incoming:
    """
    A request.

    Attributes:
        method: the HTTP method.
        path: as sent, percent-encoded: `+` in a sender address is a plus.
        target: the path and the query string.
        query: the query string, by name.
        headers: of the request.
        pairs: the headers as received.
        client: the host and port it came from.
        base: the scheme and host by which the client called Orange.
        body: the body, or why it was not read to its end.
    """

    method: str
    path: str
    target: str
    query: dict[str, str]
    headers: "Headers"
    pairs: list[tuple[str, str]]
    client: str
    base: str
    body: bytes | Wrong

    @property
    def media_type(self) -> str:
        """The media type of the body, in lower case and without parameters."""
        # Existing clients send "Application/json" and "application/json;charset=UTF-8".
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def accepts_json(self) -> bool:
        """Whether the most specific matching range of the Accept header accepts JSON."""
        # An Accept that excludes JSON is answered 406 (D); yet clients that ask for html are in
        # use and work (seen). Both hold if html is a browser's habit rather than a demand.
        accept = self.headers.get("accept", "").strip()
        wanted = dict(map(_weighed, accept.split(",")))
        closest = ("application/json", "application/*", "*/*", "*", "text/html")
        return not accept or next((wanted[name] for name in closest if name in wanted), 0.0) > 0

    def sized_body(self) -> bytes:
        """
        Return the body.

        Raises:
            RefusalError: it was larger than Orange reads, or did not end in time.
        """
        if isinstance(self.body, Wrong):
            refusal = gateway_error(66 if self.body is Wrong.LARGE_BODY else 63)
            raise RefusalError(refusal, self.body)
        return self.body

    def json_object(self) -> dict[str, Any]:
        """
        Return the body as a JSON object.

        Raises:
            RefusalError: it is not one, or its media type is not JSON.
        """
        if self.media_type != "application/json":
            raise RefusalError(gateway_error(68), Wrong.JSON_TYPE)
        body = self.sized_body()
        if not body.strip():
            raise RefusalError(gateway_error(21), Wrong.NO_BODY)
        try:
            content = json.loads(body.decode())
        except (ValueError, RecursionError):
            raise RefusalError(gateway_error(22), Wrong.NOT_JSON) from None
        if not isinstance(content, dict):
            raise RefusalError(gateway_error(22), Wrong.NOT_JSON)
        return content

    def form(self) -> dict[str, str]:
        """
        Return the fields of the body's form.

        Raises:
            RefusalError: its media type is not that of a form, or it is too large.
        """
        if self.media_type != "application/x-www-form-urlencoded":
            # The token endpoint speaks in its own envelope (inferred).
            words = "The Content-Type must be application/x-www-form-urlencoded."
            raise RefusalError(token_error(415, "invalid_request", words), Wrong.FORM_TYPE)
        return _pairs(self.sized_body())


def _weighed(media_range: str) -> tuple[str, float]:
    name, _, parameters = media_range.partition(";")
    _, said, quality = parameters.replace(" ", "").lower().rpartition("q=")
    try:
        weight = float(quality) if said else 1.0
    except ValueError:
        weight = 1.0
    return name.strip().lower(), weight


def _pairs(encoded: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(encoded.decode("latin-1"), max_num_fields=100))
    except ValueError:  # too many fields
        return {}


async def read(scope: "Scope", receive: "Receive") -> Incoming:
    """
    Read a request to the end of its body.

    Raises:
        ClientDisconnect: the client disconnected in the middle of its body.
    """
    request = Request(scope, receive)
    host = request.headers.get("host", "api.orange.com")
    peer = request.client
    path = scope["raw_path"].partition(b"?")[0]
    query = scope["query_string"]
    return Incoming(
        method=request.method,
        path=path.decode("latin-1"),
        target=(path + b"?" + query if query else path).decode("latin-1"),
        query=_pairs(query),
        headers=request.headers,
        pairs=request.headers.items(),
        client=f"{peer.host}:{peer.port}" if peer else "",
        base=f"{scope['scheme']}://{host}",
        body=await read_body(request),
    )


async def read_body(request: Request) -> bytes | Wrong:
    """Read a body to its end, or return why not: it is too large or too slow."""
    chunks, size = [], 0
    try:
        async with asyncio.timeout(PATIENCE):
            async for chunk in request.stream():
                size += len(chunk)
                # The excess is read and thrown away, or the client could not read the answer.
                if size <= LARGEST_BODY:
                    chunks.append(chunk)
    except TimeoutError:
        return Wrong.SLOW_BODY
    return b"".join(chunks) if size <= LARGEST_BODY else Wrong.LARGE_BODY
