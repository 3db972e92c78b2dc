"""
What reached Orange and what became of it, for tests and people to look at.

No repr shows a whole number, a text or a token: evidence ends up in logs and bug reports.
"""

import re
from typing import TypeVar

import attrs

T = TypeVar("T")

_NUMBER = re.compile(r"(?<=[0-9]{3})[0-9]+(?=[0-9]{2})")


def masked(text: str) -> str:
    """Leave of a number its first three and last two digits: `+225******04`."""
    return _NUMBER.sub(lambda digits: "*" * len(digits[0]), text)


@attrs.frozen(kw_only=True)
class Sent:
    """
    A message Orange took.

    Attributes:
        resource_id: what Orange calls it; in the 201, and in its receipts.
        address: the recipient, in Orange's form `tel:+...`.
        sender_address: in the same form.
        sender_name: None where none was given.
        text: as it came.
        segments: how many SMS it is, and so how many units it cost.
        time: when it arrived, by the clock of the event loop.
        on_net: whether it went by the offer for Orange's own network.
        status: what its last receipt says, or will say, of it.
    """

    resource_id: str
    address: str = attrs.field(repr=masked)
    sender_address: str = attrs.field(repr=masked)
    sender_name: str | None
    text: str = attrs.field(repr=False)
    segments: int
    time: float
    on_net: bool
    status: str


@attrs.frozen(kw_only=True)
class Request:
    """
    A request that arrived.

    Attributes:
        time: when it arrived, by the clock of the event loop.
        method: of HTTP.
        path: still percent-encoded, without the query string.
        status: what it was answered; None when it was left without an answer.
        client: the host and port it came from: one port, one connection.
        request_id: the `X-OAPI-Request-Id` of its answer.
        headers: the token among them.
    """

    time: float
    method: str
    path: str = attrs.field(repr=masked)
    status: int | None
    client: str
    request_id: str
    headers: dict[str, str] = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Exchange:
    """
    The request that brought a message, and its answer, as they travelled.

    Attributes:
        method: of HTTP.
        path: with its query string.
        headers: those of the request; of the token only that there was one.
        body: of the request.
        status: what it was answered; None when it was left without an answer.
        answer_headers: none where there was no answer.
        answer_body: empty where there was no answer.
    """

    method: str
    path: str = attrs.field(repr=masked)
    headers: list[tuple[str, str]] = attrs.field(repr=False)
    body: str = attrs.field(repr=False)
    status: int | None
    answer_headers: list[tuple[str, str]] = attrs.field(repr=False)
    answer_body: str = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Receipt:
    """
    A delivery receipt that was posted to the user's endpoint.

    Attributes:
        resource_id: the message that it is of.
        address: the recipient of that message.
        status: what it says.
        time: when it left, by the clock of the event loop.
        wall_time: when it left, in seconds since 1970.
        body: what was posted.
        answer: the status the endpoint answered with; None when it did not answer.
        answer_body: the beginning of what it answered.
        error: why it did not, by the name of what happened.
    """

    resource_id: str
    address: str = attrs.field(repr=masked)
    status: str
    time: float
    wall_time: float
    body: str = attrs.field(repr=False)
    answer: int | None
    answer_body: str = attrs.field(default="", repr=False)
    error: str | None = None

    def told(self, number: int) -> dict[str, object]:
        """Say in short what became of the message of that number."""
        return {
            "resource_id": self.resource_id,
            "number": number,
            "status": self.status,
            "time": self.wall_time,
            "answer": self.answer,
            "error": self.error,
        }


@attrs.define(kw_only=True)
class Statistics:
    """
    What happened until now, in numbers: also what is no longer remembered.

    Attributes:
        accepted: messages taken.
        throttled: messages refused by the limit.
        refused: messages Orange said no to, faults and the limit left out.
        failed: requests met by a fault.
        requests: all that arrived, of every kind.
        token_requests: requests for a token.
        most_in_a_second: the most messages that arrived in any rolling second.
        units_used: what the messages cost.
        receipts_delivered: receipts answered with 200.
        receipts_undelivered: receipts answered otherwise, or not at all.
    """

    accepted: int = 0
    throttled: int = 0
    refused: int = 0
    failed: int = 0
    requests: int = 0
    token_requests: int = 0
    most_in_a_second: int = 0
    units_used: int = 0
    receipts_delivered: int = 0
    receipts_undelivered: int = 0


class Recent(list[T]):
    """
    A list that forgets its beginning: at least `keep` are remembered, at most an eighth more.

    In slabs, because taking the first of a long list moves all the others.

    Attributes:
        keep: how many are remembered.
    """

    def __init__(self, keep: int) -> None:
        super().__init__()
        self.keep = keep

    def append(self, item: T) -> None:
        super().append(item)
        if len(self) > self.keep + self.keep // 8:
            del self[: -self.keep]
