"""What is to go wrong next, said beforehand and in order."""

import enum
from collections import deque
from typing import Literal

import attrs

from orange_sms_async.sandbox.answers import Answer, backend_error, gateway_error, token_error

On = Literal["message", "token", "account"]


class Silence(enum.Enum):
    """The two ways not to answer."""

    DROP = "the connection is closed"
    HANG = "nothing ever comes"


@attrs.frozen
class Fault:
    """
    What one request is to meet.

    Attributes:
        taken: Orange does what it was asked to do, and then this happens to its answer.
    """

    outcome: Answer | Silence
    taken: bool


@attrs.define
class Faults:
    _coming: dict[str, deque[Fault]] = attrs.field(factory=dict, init=False)

    def add(self, on: On, fault: Fault, times: int) -> None:
        self._coming.setdefault(on, deque()).extend([fault] * times)

    def next(self, on: str) -> Fault | None:
        coming = self._coming.get(on)
        return coming[0] if coming else None

    def spend(self, on: str) -> None:
        self._coming[on].popleft()


def failure(
    status: int,
    *,
    code: int | None = None,
    message: str | None = None,
    message_id: str | None = None,
    variable: str | None = None,
    error: str | None = None,
    body: str = "",
) -> Answer:
    """Answer in the envelope whose parts are given, or with a bare body."""
    if code is not None:
        return gateway_error(code, status=status, message=message)
    if message_id is not None:
        variables = [variable] if variable is not None else []
        return backend_error(message_id, *variables, status=status)
    if error is not None:
        return token_error(status, error, message or "")
    return Answer(status, body.encode(), media_type="text/html" if body else None)
