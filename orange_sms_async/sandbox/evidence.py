"""What reached Orange and what became of it, for tests and people to look at.

No repr shows a whole number, a text or a token: evidence ends up in logs and bug reports.
"""

import re
from collections import deque

import attrs

from orange_sms_async.sandbox.limits import ROUNDING

_NUMBER = re.compile(r"(?<=[0-9]{3})[0-9]+(?=[0-9]{2})")


def masked(text: str) -> str:
    """Leave of a number its first three and last two digits: `+225******04`."""
    return _NUMBER.sub(lambda digits: "*" * len(digits[0]), text)


@attrs.frozen(kw_only=True)
class Sent:
    """
    A message Orange took.

    Attributes:
        address: the recipient, in Orange's form `tel:+...`.
        time: when it arrived, by the clock of the event loop.
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
        status: what it was answered; None when it was left without an answer.
        client: the host and port it came from: one port, one connection.
    """

    time: float
    method: str
    path: str = attrs.field(repr=masked)
    status: int | None
    client: str
    request_id: str
    headers: dict[str, str] = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Receipt:
    """
    A delivery receipt that was posted to the user's endpoint.

    Attributes:
        answer: the status the endpoint answered with; None when it did not answer.
        error: why it did not, by the name of what happened.
    """

    resource_id: str
    address: str = attrs.field(repr=masked)
    status: str
    time: float
    answer: int | None
    error: str | None = None


@attrs.frozen(kw_only=True)
class Statistics:
    """
    What happened until now, in numbers.

    Attributes:
        requests: all that arrived, of every kind.
        refused: messages Orange said no to, faults left out.
        failed: requests met by a fault.
        receipts_delivered: receipts answered with 200.
    """

    accepted: int
    throttled: int
    refused: int
    failed: int
    requests: int
    token_requests: int
    most_in_a_second: int
    units_used: int
    receipts_delivered: int
    receipts_undelivered: int


@attrs.define
class BusiestSecond:
    """The most arrivals in any second [t, t + 1), wherever it begins."""

    most: int = 0
    _recent: deque[float] = attrs.field(factory=deque, init=False, repr=False)

    def add(self, now: float) -> None:
        self._recent.append(now)
        while now - self._recent[0] >= 1 - ROUNDING:
            self._recent.popleft()
        self.most = max(self.most, len(self._recent))
