"""What Orange answers: its three error envelopes, and how any answer goes out."""

import json
from typing import Any

import attrs

from orange_sms_async.sandbox.orange.wrong import Wrong

# Orange's list of gateway errors: code -> (usual status, message, description) (D).
GATEWAY_ERRORS: dict[int, tuple[int, str, str]] = {
    1: (500, "Internal error", "An internal error occurred."),
    5: (
        503,
        "The service is temporarily unavailable",
        "The service is temporarily unavailable, retry later !",
    ),
    6: (503, "Over capacity", "Orange API is over capacity, retry later !"),
    20: (400, "Invalid URL parameter value", "A parameter of the URL is not valid."),
    21: (400, "Missing body", "The request has no body."),
    22: (400, "Invalid body", "The body of the request could not be read."),
    23: (400, "Missing body field", "A field of the body is missing."),
    24: (400, "Invalid body field", "A field of the body is not valid."),
    25: (400, "Missing header", "A header is missing."),
    26: (400, "Invalid header value", "A header is not valid."),
    27: (400, "Missing query-string parameter", "A query-string parameter is missing."),
    28: (400, "Invalid query-string parameter value", "A query-string parameter is not valid."),
    40: (
        401,
        "Missing credentials",
        "The requested service needs credentials, but none were provided.",
    ),
    41: (
        401,
        "Invalid credentials",
        "The requested service needs credentials, but the ones provided were invalid.",
    ),
    42: (
        401,
        "Expired credentials",
        "The requested service needs credentials, and the ones provided were out-of-date.",
    ),
    50: (403, "Access denied", "The application is not subscribed to this API."),
    51: (403, "Forbidden requester", "The application is blocked."),
    52: (403, "Forbidden user", "The user is not allowed to do this."),
    53: (403, "Too many requests", "The application has made too many requests."),
    60: (404, "Resource not found", "The requested URI or resource does not exist."),
    61: (405, "Method not allowed", "The HTTP method is not allowed on this resource."),
    62: (406, "Not acceptable", "The resource cannot be given in the format asked for."),
    63: (408, "Request time-out", "The request took too long to arrive."),
    64: (411, "Length required", "The length of the body is missing."),
    65: (412, "Precondition failed", "A precondition of the request is not met."),
    66: (413, "Request entity too large", "The body of the request is too large."),
    67: (414, "Request-URI too long", "The URI of the request is too long."),
    68: (415, "Unsupported media type", "The format of the body is not supported."),
    69: (409, "Conflict", "The request is in conflict with the state of the resource."),
}

# The texts stay unexpanded, as in the capture of POL0001; the others are OMA's (inferred).
_BACKEND_TEXTS = {
    "SVC0001": "A service error occurred. Error code is %1",
    "SVC0002": "Invalid input value for message part %1",
    "SVC0003": "Invalid input value for message part %1, valid values are %2",
    "SVC0004": "No valid addresses provided in message part %1",
    "SVC0280": "Message too long. Maximum length is %1 characters",
    "POL0001": "A policy error occurred. Error code is %1",
    "POL0003": "Too many addresses specified in message part %1",
}


@attrs.frozen
class Answer:
    """
    An answer, as it is sent.

    Attributes:
        status: the HTTP status.
        body: the bytes.
        headers: other than those of the content and the request id.
        media_type: None for an answer without content.
    """

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    media_type: str | None = "application/json"

    def all_headers(self, request_id: str) -> list[tuple[str, str]]:
        """Return all headers as servers send them, in lower case."""
        headers = [(name.lower(), value) for name, value in self.headers]
        if self.media_type is not None:
            text = self.media_type.startswith("text/")
            headers.append(("content-type", self.media_type + "; charset=utf-8" * text))
        if self.status not in {204, 304}:
            headers.append(("content-length", str(len(self.body))))
        # "Every answer carries it; Orange's support asks for it" (D).
        headers.append(("x-oapi-request-id", request_id))
        return headers


class RefusalError(Exception):
    """
    A check failed; the checks after it are skipped.

    Attributes:
        answer: what to answer instead.
        wrong: the broken rule.
    """

    def __init__(self, answer: Answer, wrong: Wrong) -> None:
        super().__init__(answer.status)
        self.answer, self.wrong = answer, wrong


def in_json(status: int, content: Any, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """Answer with any JSON content."""
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    return Answer(status, body, headers)


def gateway_error(
    code: int,
    *,
    status: int | None = None,
    message: str | None = None,
    description: str | None = None,
) -> Answer:
    """
    Answer in the gateway's envelope: `{"code": ..., "message": ..., "description": ...}`.

    Args:
        code: Orange's; one that it does not list is an unnamed error.
        status: instead of the usual one of that code.
        message: instead of the usual one of that code.
        description: instead of the usual one of that code.

    Returns:
        The answer.
    """
    usual, title, words = GATEWAY_ERRORS.get(code, (500, "Error", "An error occurred."))
    content = {"code": code, "message": message or title, "description": description or words}
    return in_json(status or usual, content)


def token_error(status: int, error: str, description: str) -> Answer:
    """Answer in the token endpoint's envelope: `{"error": ..., "error_description": ...}`."""
    # The challenge was captured beside invalid_client.
    headers = (("WWW-Authenticate", "Basic"),) if status == 401 else ()
    return in_json(status, {"error": error, "error_description": description}, headers)


def backend_error(message_id: str, *variables: str, status: int | None = None) -> Answer:
    """Answer in the SMS backend's envelope; POL... is a policy, anything else a service error."""
    policy = message_id.startswith("POL")
    content = {
        "messageId": message_id,
        "text": _BACKEND_TEXTS.get(message_id, _BACKEND_TEXTS["SVC0001"]),
        "variables": list(variables),
    }
    kind = "policyException" if policy else "serviceException"
    return in_json(status or (403 if policy else 400), {"requestError": {kind: content}})
