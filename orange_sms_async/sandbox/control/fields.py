"""The fields of a JSON body, each read and refused by name."""

import datetime as dt
import json
from collections.abc import Container
from typing import Any, NoReturn

import attrs
from starlette.exceptions import HTTPException
from starlette.requests import Request

from orange_sms_async.sandbox.orange.incoming import LARGEST_BODY, read_body
from orange_sms_async.sandbox.orange.wrong import Wrong


def refuse(rule: str) -> NoReturn:
    """
    Refuse a request with a line that says the rule it breaks.

    Raises:
        HTTPException: always.
    """
    raise HTTPException(400, rule)


async def read_fields(request: Request) -> "Fields":
    """
    Read the body of a request; an empty one has no fields.

    Raises:
        HTTPException: it is too large, or not a JSON object.
    """
    body = await read_body(request)
    if body is Wrong.SLOW_BODY:
        raise HTTPException(408, "the body: within 30 seconds", {"Connection": "close"})
    if isinstance(body, Wrong):
        refuse(f"the body: at most {LARGEST_BODY} bytes")
    try:
        content = json.loads(body) if body.strip() else {}
    except (ValueError, RecursionError):
        refuse("the body: JSON")
    if not isinstance(content, dict):
        refuse("the body: a JSON object")
    return Fields(content)


@attrs.define
class Fields:
    """
    The fields of a body. One that breaks a rule is refused with an `HTTPException`.

    Attributes:
        inside: the name of the field that holds these, with a dot; empty for the body itself.
    """

    _content: dict[str, Any]
    inside: str = ""

    def only(self, *names: str) -> None:
        """Refuse unknown fields, such as mistyped names, which would have no effect."""
        for name in self._content:
            if name not in names:
                refuse(f"{self.inside}{name[:40]!a}: one of {', '.join(names)}")

    def has(self, name: str) -> bool:
        """Say whether there is such a field, null or not."""
        return name in self._content

    def is_null(self, name: str) -> bool:
        """Say whether a field is null or missing."""
        return self._content.get(name) is None

    def text(self, name: str, *, default: str | None = None, longest: int = 100) -> str:
        """Read a text that is not empty."""
        value = self._content.get(name, default)
        if not isinstance(value, str) or not 0 < len(value) <= longest or not _is_unicode(value):
            refuse(f"{self.inside}{name}: text of 1 to {longest} characters")
        return value

    def choice(self, name: str, known: Container[str], *, default: str | None = None) -> str:
        """Read one of the known texts."""
        value = self._content.get(name, default)
        if not isinstance(value, str) or value not in known:
            shown = ", ".join(known) if isinstance(known, tuple) else "one of those known"
            refuse(f"{self.inside}{name}: {shown}")
        return value

    def number(self, name: str, highest: float, *, default: float | None = None) -> float:
        """Read a number, 0 or more."""
        value = self._content.get(name, default)
        if (
            not isinstance(value, int | float)
            or isinstance(value, bool)
            or not 0 <= value <= highest
        ):
            refuse(f"{self.inside}{name}: a number from 0 to {highest:g}")
        return float(value)

    def whole(self, name: str, lowest: int, highest: int, *, default: int | None = None) -> int:
        """Read a whole number."""
        value = self._content.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
            refuse(f"{self.inside}{name}: a whole number from {lowest} to {highest}")
        return value

    def moment(self, name: str) -> dt.datetime:
        """Read a date and time with its time zone."""
        try:
            moment = dt.datetime.fromisoformat(self.text(name))
            if moment.tzinfo is not None:
                return moment.astimezone(dt.UTC)
        except (ValueError, OverflowError):
            pass
        refuse(f"{self.inside}{name}: a date and time with its zone, as 2026-12-31T23:59:59Z")

    def within(self, name: str) -> "Fields":
        """Read the fields of an object."""
        value = self._content.get(name)
        if not isinstance(value, dict):
            refuse(f"{self.inside}{name}: a JSON object")
        return Fields(value, f"{self.inside}{name}.")


def _is_unicode(text: str) -> bool:
    """JSON can escape half a surrogate pair, which no answer could repeat."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
