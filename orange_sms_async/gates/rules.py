"""Three rules: sending hours, messages to one person, and a budget of units."""

from collections.abc import Collection, Mapping
from datetime import datetime, time, timedelta
from typing import TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from orange_sms_async.countries import COUNTRIES, Country
from orange_sms_async.errors import Withheld
from orange_sms_async.gates.gate import Answer, Asked
from orange_sms_async.outcomes import Priority
from orange_sms_async.segments import count_segments

Open: TypeAlias = tuple[time, time]
"""Start and end. An end that is not later than its start is on the next day."""

_ALL = frozenset(Priority)


class Hours:
    """
    The hours at which messages may leave, in the country they go to. At other hours they wait.

    If a country has two time zones, the time must be within the hours in both. No table of laws is
    included: look up the law where you send.

    Args:
        countries: start and end, by country code: {"CMR": (time(6), time(22))}. An end that is not
            later than its start is on the next day.
        others: the same for all other countries; None lets them pass.
        exempt: lanes that pass at any hour; by default URGENT.

    Raises:
        KeyError: a code belongs to none of Orange's countries.
        ValueError: this machine has no time zones: `pip install tzdata`.
    """

    def __init__(
        self,
        countries: Mapping[str, Open] | None = None,
        *,
        others: Open | None = None,
        exempt: Collection[Priority] = (Priority.URGENT,),
    ) -> None:
        self._open = {
            Country.from_code(code).code: hours for code, hours in (countries or {}).items()
        }
        self._others, self._exempt = others, frozenset(exempt)
        for country in COUNTRIES:
            if self._open.get(country.code, others):
                _check_zones(country)

    def ask(self, asked: Asked) -> Answer:
        if asked.lane in self._exempt:
            return None
        country = _country(asked.message.to)
        if country is not None:
            return self.opens(country.code, asked.now)
        if self._others is None:
            return None
        return Withheld("the recipient's local time is unknown", rule="hours")

    def opens(self, country: str, now: datetime) -> datetime | None:
        """Return when messages to a country may leave; None if they may now."""
        hours = self._open.get(country, self._others)
        if hours is None:
            return None
        zones = map(ZoneInfo, Country.from_code(country).zones)
        dates = (_next(now.astimezone(zone), *hours) for zone in zones)
        return max(filter(None, dates), default=None)


class PerRecipient:
    """
    At most `most` messages to one number within a period. The next one is withheld.

    Args:
        most: how many.
        within: the period, which is rolling: the last 24 hours, not a calendar day.
        lanes: the lanes that count, together; by default all.
    """

    def __init__(self, most: int, within: timedelta, *, lanes: Collection[Priority] = _ALL) -> None:
        self._most, self._within, self._lanes = most, within, frozenset(lanes)
        self._name = f"{_named(self._lanes)} in {within.total_seconds():g} s to"

    async def ask(self, asked: Asked) -> Answer:
        if asked.lane not in self._lanes:
            return None
        what = f"{self._name} {asked.message.to}"
        if await asked.count(what, most=self._most, within=self._within):
            return None
        why = f"the recipient has reached the limit of {self._most} within {_period(self._within)}"
        return Withheld(why, rule="per recipient")


class Budget:
    """
    A budget of units within a period, one unit per segment. What would exceed it is withheld.

    Args:
        units: how many.
        within: the period, which is rolling: the last 30 days, not a calendar month.
        countries: codes of the countries that count, together; None for all.
        lanes: the lanes that count, together; by default all.
        reserved: how many of the units only URGENT messages may use.
        name: tells it apart from another budget for the same countries and lanes.

    Raises:
        ValueError: `reserved` is below 0 or above `units`.
    """

    def __init__(
        self,
        units: int,
        within: timedelta,
        *,
        countries: Collection[str] | None = None,
        lanes: Collection[Priority] = _ALL,
        reserved: int = 0,
        name: str = "",
    ) -> None:
        if not 0 <= reserved <= units:
            raise ValueError("reserved: at least 0, and at most the units of the budget")
        self._units, self._within, self._reserved = units, within, reserved
        self._countries = None if countries is None else frozenset(countries)
        self._lanes = frozenset(lanes)
        where = "all" if countries is None else ",".join(sorted(self._countries or ()))
        self._name = f"units {name} {where} {_named(self._lanes)} in {within.total_seconds():g} s"

    async def ask(self, asked: Asked) -> Answer:
        country = _country(asked.message.to)
        of_them = self._countries is None or (country and country.code in self._countries)
        if asked.lane not in self._lanes or not of_them:
            return None
        most = self._units - (0 if asked.lane is Priority.URGENT else self._reserved)
        units = count_segments(asked.message.text).segments
        if await asked.count(self._name, units, most=most, within=self._within):
            return None
        return Withheld(
            f"too few units left of {most} within {_period(self._within)}", rule="budget"
        )


def _country(number: str) -> Country | None:
    try:
        return Country.from_number(number)
    except KeyError:
        return None


def _next(local: datetime, opens: time, closes: time) -> datetime | None:
    """Return when the hours begin next, on a country's clock; None during them."""
    clock = local.time()
    after, before = clock >= opens, clock < closes
    if (after and before) if opens < closes else (after or before):
        return None
    day = local.date() + timedelta(days=after)
    return datetime.combine(day, opens, local.tzinfo)


def _check_zones(country: Country) -> None:
    for zone in country.zones:
        try:
            ZoneInfo(zone)
        except ZoneInfoNotFoundError:
            raise ValueError(f"no time zone {zone} on this machine: pip install tzdata") from None


def _period(within: timedelta) -> str:
    """Say a period as people do: "24 hours", "7 days"."""
    seconds = within.total_seconds()
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        count = seconds / length
        if count.is_integer() and (unit, count) != ("day", 1):
            return f"1 {unit}" if count == 1 else f"{count:,.0f} {unit}s"
    return f"{seconds:,g} seconds"


def _named(lanes: Collection[Priority]) -> str:
    return ",".join(lane.name for lane in sorted(lanes))
