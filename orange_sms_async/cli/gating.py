"""Rules on the command line: hours, suppressed numbers, units, and your own gate."""

import asyncio
import datetime as dt
import importlib
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import attrs
import typer

from orange_sms_async import OutboundMessage, Priority, Withheld, gates
from orange_sms_async.cli.exits import stop_with

KEY = "ORANGE_SMS_SUPPRESSION_KEY"
_ALWAYS = dt.timedelta(days=36_500)  # a run is one period
_SOON = dt.timedelta(seconds=1)
_LOOK = 0.1  # seconds


def _gate(given: str) -> gates.Gate:
    module, _, name = given.partition(":")
    if not (module and name):
        raise typer.BadParameter("module:name, such as shop.rules:gate")
    sys.path.insert(0, str(Path.cwd()))  # `python -m` looks there too; an installed script does not
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:  # noqa: BLE001 -- a user's module may raise anything
        why = f"{given} cannot be imported ({type(error).__name__})"
        raise typer.BadParameter(why) from None
    if not callable(getattr(found, "ask", None)) or isinstance(found, type):
        raise typer.BadParameter(f"{given} has no method ask(asked)")
    gate: gates.Gate = found
    return gate


GateOption = Annotated[
    Any,
    typer.Option(
        "--gate",
        parser=_gate,
        metavar="MODULE:NAME",
        help="Ask this object before a message leaves, like SendQueue's `gate`. It is looked up "
        "from this folder.",
    ),
]


def _hours(given: str) -> gates.Open:
    opens, _, closes = given.partition("-")
    try:
        return _time(opens), _time(closes)
    except ValueError:
        raise typer.BadParameter("write the hours as 8-20 or 8:30-19:45") from None


def _time(given: str) -> dt.time:
    hour, _, minute = given.strip().partition(":")
    return dt.time(0 if hour == "24" else int(hour), int(minute or 0))


HoursOption = Annotated[
    Any,
    typer.Option(
        "--hours",
        parser=_hours,
        metavar="FROM-TO",
        help="Send only within these hours, by the clock of each row's country: 8-20. Other rows "
        "wait.",
    ),
]
SuppressOption = Annotated[
    Path | None,
    typer.Option(
        "--suppress",
        metavar="STOP.csv",
        help="Send nothing to the numbers in this file. Its column is named to, number or hash; "
        f"hash needs {KEY}.",
    ),
]
MaxUnits = Annotated[
    int | None,
    typer.Option(
        "--max-units",
        min=1,
        metavar="N",
        help="Stop before this run spends more than N units, at 1 unit per segment.",
    ),
]


@attrs.frozen(kw_only=True)
class Rules:
    """
    The rules for the messages of a campaign.

    Attributes:
        hours: when its messages may leave; None at any hour.
        suppression: the numbers that get nothing; None without a list.
        max_units: what it may spend; None without a limit.
    """

    hours: gates.Hours | None = None
    suppression: gates.Suppression | None = None
    max_units: int | None = None

    def held(self, country: str, at: float) -> float:
        """Return when a country's messages may leave; `at` itself if the hours allow it then."""
        if self.hours is None or not country:
            return at
        date = self.hours.opens(country, dt.datetime.fromtimestamp(at, dt.UTC))
        return date.timestamp() if date else at

    async def suppresses(self, message: OutboundMessage, notes: gates.Notes) -> bool:
        """Tell whether the recipient is on the list."""
        if self.suppression is None:
            return False
        asked = gates.Asked(message, Priority.BULK, 0.0, False, notes, b"")
        return await self.suppression.ask(asked) is not None

    def gate(
        self, on_wire: Callable[[], bool], exceeded: Callable[[str], object]
    ) -> gates.Gate | None:
        """
        Make the gate of a campaign; None without rules.

        Args:
            on_wire: whether messages other than the one asked about are on the wire.
            exceeded: called with the reason once the campaign may spend no more.
        """
        spending = self.max_units and Spending(self.max_units, on_wire, exceeded)
        rules = [rule for rule in (self.hours, self.suppression, spending) if rule]
        return gates.all_of(*rules) if rules else None


def rules_of(hours: gates.Open | None, suppress: Path | None, max_units: int | None) -> Rules:
    """Make the rules from the options, or end with a one-line error."""
    try:
        within = gates.Hours(others=hours, exempt=()) if hours else None
        return Rules(hours=within, suppression=_suppression(suppress), max_units=max_units)
    except ValueError as error:
        stop_with(str(error))


def _suppression(file: Path | None) -> gates.Suppression | None:
    key = os.environ.get(KEY)
    if file is None and not key:
        return None
    suppression = gates.Suppression(key or secrets.token_bytes())
    if file is not None:
        try:
            with file.open(encoding="utf-8-sig", newline="") as lines:
                hashes = "hash" in lines.readline().lower()
                if hashes and not key:
                    stop_with(f"{file}: the hashes need the key that made them, in {KEY}")
                lines.seek(0)
                suppression.load(lines)
        except OSError as error:
            stop_with(f"cannot read {file}: {error.strerror}")
        except UnicodeDecodeError:
            stop_with(f"cannot read {file}: not UTF-8")
        except ValueError as error:
            stop_with(f"{file}: {error}")
    return suppression


class Spending:
    """
    The most that a run may spend. It ends the run.

    Unknown messages count as spent. A message that would exceed the limit keeps waiting.

    Args:
        most: units.
        on_wire: whether messages other than the one asked about are on the wire.
        exceeded: called with the reason why the next message is not sent.
    """

    def __init__(
        self, most: int, on_wire: Callable[[], bool], exceeded: Callable[[str], object]
    ) -> None:
        self._most, self._on_wire, self._exceeded = most, on_wire, exceeded
        self._budget = gates.Budget(most, _ALWAYS, name=secrets.token_hex(8))

    async def ask(self, asked: gates.Asked) -> gates.Answer:
        if not asked.leaving:
            return None
        while isinstance(await self._budget.ask(asked), Withheld):
            if not self._on_wire():
                self._exceeded(
                    f"--max-units {self._most}: the next message costs more than is left"
                )
                return asked.now + _SOON
            # A message on the wire may be refused, and then costs nothing.
            await asyncio.sleep(_LOOK)
        return None
