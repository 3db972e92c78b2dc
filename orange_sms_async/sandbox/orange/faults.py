"""Faults set in advance: for the next requests, or with a probability."""

import enum
import random
from collections.abc import Callable
from itertools import count
from typing import Literal, get_args

import attrs

from orange_sms_async.sandbox.orange.answers import (
    GATEWAY_ERRORS,
    Answer,
    backend_error,
    gateway_error,
    token_error,
)

On = Literal["message", "token", "account"]

_share = [attrs.validators.ge(0.0), attrs.validators.le(1.0)]
_kind = attrs.validators.in_(get_args(On))


class Silence(enum.Enum):
    """The two ways not to answer."""

    DROP = "the connection is closed"
    HANG = "no answer ever comes"


@attrs.frozen
class Fault:
    """
    A fault for one request.

    Attributes:
        name: its name in the page and its API.
        outcome: what the client sees.
        taken: whether Orange first carries the request out, so that only its answer fails.
        label: a description for people.
    """

    name: str
    outcome: Answer | Silence
    taken: bool = False
    label: str = ""


@attrs.define(eq=False)
class Coming:
    """
    A fault that the next requests of a kind meet.

    Attributes:
        id: distinguishes it from others.
        on: the kind of request.
        fault: the fault.
        left: how many more requests meet it.
    """

    id: int
    on: On = attrs.field(validator=_kind)
    fault: Fault
    left: int = attrs.field(validator=attrs.validators.ge(1), on_setattr=attrs.setters.NO_OP)


@attrs.frozen
class Chance:
    """
    A fault that a share of all requests of a kind meet, if no other fault is to come.

    Attributes:
        share: from 0 to 1.
        on: the kind of request.
        fault: the fault.
    """

    share: float = attrs.field(validator=_share)
    on: On = attrs.field(validator=_kind)
    fault: Fault


@attrs.define(eq=False)
class Faults:
    """
    All faults to come.

    Attributes:
        on_change: called when a fault is set, met or removed.
        coming: in order; each kind of request meets its own first one.
        chance: a fault that may happen besides, if any.
    """

    _random: random.Random
    on_change: Callable[[], None]
    coming: list[Coming] = attrs.field(factory=list, init=False)
    chance: Chance | None = attrs.field(default=None, init=False)
    _ids: "count[int]" = attrs.field(factory=lambda: count(1), init=False)

    def add(self, on: On, fault: Fault, times: int) -> None:
        """Let the next requests of a kind meet a fault, after those already to come."""
        self.coming.append(Coming(next(self._ids), on, fault, times))
        self.on_change()

    def happen_sometimes(self, share: float, on: On, fault: Fault) -> None:
        """Let a share of a kind's requests meet a fault; it replaces an earlier share."""
        self.chance = Chance(share, on, fault) if share else None
        self.on_change()

    def clear(self) -> None:
        """Remove all faults."""
        self.coming.clear()
        self.chance = None
        self.on_change()

    def next(self, on: str) -> Coming | None:
        """Return the fault that a request of this kind meets, if any."""
        for coming in self.coming:
            if coming.on == on:
                return coming
        chance = self.chance
        if chance is None or chance.on != on or self._random.random() >= chance.share:
            return None
        return Coming(0, chance.on, chance.fault, 1)

    def spend(self, coming: Coming) -> None:
        """Count that a request has met it."""
        coming.left -= 1
        if not coming.left and coming in self.coming:
            self.coming.remove(coming)
        self.on_change()


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
    """Make an answer in the form whose parts are given, or with a bare body."""
    if code is not None:
        return gateway_error(code, status=status, message=message)
    if message_id is not None:
        variables = [variable] if variable is not None else []
        return backend_error(message_id, *variables, status=status)
    if error is not None:
        return token_error(status, error, message or "")
    return Answer(status, body.encode(), media_type="text/html" if body else None)


def _page(status: int) -> Answer:
    return Answer(status, b"<h1>Gateway</h1>", media_type="text/html")


def _documented() -> list[Fault]:
    """Every error Orange documents, and the ways not to answer."""
    gateway = [
        Fault(f"{status}/{code}", gateway_error(code), label=title)
        for code, (status, title, _) in GATEWAY_ERRORS.items()
    ]
    again = [
        # The same codes under another status and in other words, as Orange's pages list them too.
        Fault(
            f"{status}/{code}",
            gateway_error(code, status=status, message=title, description=words),
            label=title,
        )
        for status, code, title, words in (
            (429, 53, "Too many requests", None),
            (502, 1, "Bad gateway", "The gateway received an invalid response."),
            (504, 6, "Gateway time-out", "The gateway did not receive a response in time."),
        )
    ]
    backend = [
        Fault(" ".join((name, *variables)), backend_error(name, *variables), label=label)
        for name, variables, label in (
            ("POL0001", ("Expired contract",), "The contract has expired"),
            ("POL0001", ("No contract found for the given country",), "There is no contract"),
            ("POL0001", ("insufficient credits",), "No units are left"),
            ("POL0003", ("address",), "More than one recipient"),
            ("SVC0001", (), "A service error"),
            ("SVC0001", ("timeout",), "A time-out inside Orange: it may have been sent"),
            ("SVC0002", ("senderName",), "A value that is not valid"),
            ("SVC0003", ("senderName", "MonService"), "A value that is not in the list"),
            ("SVC0004", ("address",), "No valid address"),
            ("SVC0280", ("1024",), "The message is too long"),
        )
    ]
    token = [
        Fault(name, token_error(status, name, description), label=description)
        for status, name, description in (
            (400, "invalid_request", "Missing grant_type in body"),
            (401, "invalid_client", "The credentials are not valid."),
        )
    ]
    bare = [
        Fault("502", _page(502), label="A page of a proxy"),
        Fault("500 taken", gateway_error(1), taken=True, label="An error, and yet it was sent"),
        Fault(
            "201 taken",
            _page(201),
            taken=True,
            label="A 201 that cannot be read",
        ),
    ]
    silent = [
        Fault("drop", Silence.DROP, label="The connection is closed"),
        Fault("drop taken", Silence.DROP, taken=True, label="Sent, and the connection is closed"),
        Fault("hang", Silence.HANG, label="No answer ever comes"),
        Fault("hang taken", Silence.HANG, taken=True, label="Sent, and no answer ever comes"),
    ]
    return sorted(gateway + again, key=lambda fault: fault.name) + backend + token + bare + silent


# By the names that the page and its API use.
KNOWN = {fault.name: fault for fault in _documented()}
