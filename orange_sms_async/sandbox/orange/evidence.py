"""
What reached Orange and its result, for tests and people to look at.

No repr shows a full number, a text or a token: evidence ends up in logs and bug reports.
"""

import re
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import attrs

from orange_sms_async.sandbox.orange.wrong import Wrong

T = TypeVar("T")

# Of requests and of messages: what 10,000 of the usual size take (measured: 3 kB a message).
MOST_BYTES = 31_000_000

_PATH = 500  # characters of a path that a list shows

_NUMBER = re.compile(r"(?<=[0-9]{3})[0-9]+(?=[0-9]{2})")


def masked(text: str) -> str:
    """Mask a number except for its first three and last two digits: `+225******04`."""
    return _NUMBER.sub(lambda digits: "*" * len(digits[0]), text)


@attrs.frozen(kw_only=True)
class Sent:
    """
    A message Orange took.

    Attributes:
        resource_id: Orange's id of it, in the 201 and in its receipts.
        address: the recipient, in Orange's form `tel:+...`.
        sender_address: in the same form.
        sender_name: None if none was given.
        text: as received.
        segments: how many SMS it takes, and so how many units it cost.
        time: when it arrived, by the clock of the event loop.
        on_net: whether it used the offer for Orange's own network.
        status: the status in its last receipt, or the one it will have.
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
        method: the HTTP method.
        path: percent-encoded, without the query string.
        status: the status of its answer; None without an answer.
        client: the host and port it came from: one port, one connection.
        request_id: the `X-OAPI-Request-Id` of its answer.
        headers: including the token.
        number: counts up from 1, including forgotten requests.
        wall_time: when it arrived, in seconds since 1970.
        on: its kind, `message`, `token` or `account`; None if it is not one of Orange's.
        wrong: the rule it broke, if it was refused.
        fault: the name of the fault it met, if any.
        exchange: the whole request and its answer, without secrets; None if it succeeded.
    """

    time: float
    method: str
    path: str = attrs.field(repr=masked)
    status: int | None
    client: str
    request_id: str
    headers: dict[str, str] = attrs.field(repr=False)
    number: int
    wall_time: float
    on: str | None
    wrong: Wrong | None
    fault: str | None
    exchange: "Exchange | None" = attrs.field(repr=False)

    @property
    def refused(self) -> bool:
        """Whether it was answered with an error, or not at all."""
        return self.status is None or self.status >= 400

    @property
    def weight(self) -> int:
        """How many bytes it takes."""
        own = weight(self.path, *self.headers, *self.headers.values())
        return own + (self.exchange.weight if self.exchange else 0)

    def speaks_of(self, sought: str) -> bool:
        """Say whether its path, status, id or fault contains this lower-case text."""
        said = (self.method, self.path, str(self.status), self.request_id, self.wrong, self.fault)
        return any(sought in word.casefold() for word in said if word)

    def shown(self) -> dict[str, Any]:
        """Return what a list of requests shows about it."""
        return {
            "number": self.number,
            "request_id": self.request_id,
            "time": self.wall_time,
            "on": self.on,
            "method": self.method,
            "path": self.path[:_PATH],
            "status": self.status,
            "reason": self.wrong and self.wrong.name,
            "wrong": self.wrong,
            "fault": self.fault,
        }


@attrs.frozen(kw_only=True)
class Exchange:
    """
    The request that brought a message, and its answer, as they travelled.

    Attributes:
        method: the HTTP method.
        path: with its query string.
        headers: of the request; a token is only marked as present.
        body: of the request.
        status: the status of its answer; None without an answer.
        answer_headers: empty without an answer.
        answer_body: empty without an answer.
    """

    method: str
    path: str = attrs.field(repr=masked)
    headers: list[tuple[str, str]] = attrs.field(repr=False)
    body: str = attrs.field(repr=False)
    status: int | None
    answer_headers: list[tuple[str, str]] = attrs.field(repr=False)
    answer_body: str = attrs.field(repr=False)

    @property
    def weight(self) -> int:
        """How many bytes it takes, without the headers of the request."""
        heads = (text for header in self.answer_headers for text in header)
        return weight(self.path, self.body, self.answer_body, *heads)


@attrs.frozen(kw_only=True)
class Receipt:
    """
    A delivery receipt that was posted to the user's endpoint.

    Attributes:
        resource_id: the message's id.
        address: the recipient of that message.
        status: the delivery status.
        time: when it left, by the clock of the event loop.
        wall_time: when it left, in seconds since 1970.
        body: what was posted.
        answer: the status the endpoint answered with; None when it did not answer.
        answer_body: the beginning of what it answered.
        error: the name of the error, if it did not answer.
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
        """Return it in short, with the number of its message."""
        return {
            "resource_id": self.resource_id,
            "number": number,
            "status": self.status,
            "time": self.wall_time,
            "answer": self.answer,
            "error": self.error,
        }


@attrs.frozen(kw_only=True)
class Reply:
    """
    A short message from a recipient's phone that was posted to the user's endpoint.

    Attributes:
        message_id: Orange's id.
        address: the sender of the reply, in Orange's form `tel:+...`.
        destination_address: the number it replies to, without `tel:`.
        text: as written.
        time: when it left, by the clock of the event loop.
        wall_time: when it left, in seconds since 1970.
        body: what was posted.
        answer: the status the endpoint answered with; None when it did not answer.
        answer_body: the beginning of what it answered.
        error: the name of the error, if it did not answer.
    """

    message_id: str
    address: str = attrs.field(repr=masked)
    destination_address: str = attrs.field(repr=masked)
    text: str = attrs.field(repr=False)
    time: float
    wall_time: float
    body: str = attrs.field(repr=False)
    answer: int | None
    answer_body: str = attrs.field(repr=False)
    error: str | None

    def shown(self) -> dict[str, Any]:
        """Return the whole reply, with the wall-clock time."""
        shown = attrs.asdict(self) | {"time": self.wall_time}
        del shown["wall_time"]
        return shown


@attrs.define(kw_only=True)
class Statistics:
    """
    Counts of everything until now, including what is no longer remembered.

    Attributes:
        accepted: messages taken.
        throttled: messages refused by the limit.
        refused: messages refused for another reason, faults excluded.
        failed: requests that met a fault.
        requests: requests of every kind.
        token_requests: requests for a token.
        most_in_a_second: the most messages that arrived in any rolling second.
        units_used: units the messages cost.
        receipts_delivered: receipts answered with 200.
        receipts_undelivered: receipts with another answer, or none.
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
    A list that forgets its oldest items: it keeps at least `keep`, and at most an eighth more.

    It works in slabs, because removing the first item of a long list moves all others. It keeps
    fewer items if they are large.

    Attributes:
        keep: how many items to keep.
        weigh: returns the size of an item in bytes.
    """

    def __init__(self, keep: int, weigh: Callable[[T], int] = lambda _: 0) -> None:
        super().__init__()
        self.keep, self.weigh, self._weight = keep, weigh, 0

    def append(self, item: T) -> None:
        super().append(item)
        self._weight += self.weigh(item)
        if len(self) > self.keep + self.keep // 8 or self._weight > MOST_BYTES:
            self._forget()

    def _forget(self) -> None:
        count = max(0, len(self) - self.keep)
        freed = sum(map(self.weigh, self[:count]))
        while self._weight - freed > MOST_BYTES * 7 / 8 and count < len(self) - 1:
            freed += self.weigh(self[count])
            count += 1
        self._weight -= freed
        del self[:count]

    def clear(self) -> None:
        super().clear()
        self._weight = 0


def weight(*told: str) -> int:
    """Return how many bytes some texts take in memory, with their places in a list or two."""
    return sum(map(sys.getsizeof, told)) + 24 * len(told)
