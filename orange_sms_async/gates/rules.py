"""Three rules: at what hours, how many to one person, how many units."""

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
"""From when until when; an end that is not later than its beginning is on the next day."""

_ALL = frozenset(Priority)


class Hours:
    """
    When messages may leave, by the clocks of the country they go to; at other hours they wait.

    Where a country has two time zones, it must be within the hours in both. No table of laws
    comes with it: look up what holds where you send.

    Args:
        countries: by the code of the country, from when until when: {"CMR": (time(6), time(22))}.
            An end that is not later than its beginning is on the next day.
        others: the same for all other countries; None lets them pass.
        exempt: lanes that pass at any hour; by default URGENT.

    Raises:
        KeyError: a code that is of none of Orange's countries.
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
        return Withheld("nobody knows what time it is where this goes", rule="hours")

    def opens(self, country: str, now: datetime) -> datetime | None:
        """Tell when messages to a country may leave, by its code; None: they may now."""
        hours = self._open.get(country, self._others)
        if hours is None:
            return None
        zones = map(ZoneInfo, Country.from_code(country).zones)
        dates = (_next(now.astimezone(zone), *hours) for zone in zones)
        return max(filter(None, dates), default=None)


class PerRecipient:
    """
    So many messages to one number in so long; the next one is withheld.

    Args:
        most: how many.
        within: in how long.
        lanes: which lanes it is about, counted together; by default all.
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
        why = f"the recipient has had {self._most} within {self._within}"
        return Withheld(why, rule="per recipient")


class Budget:
    """
    So many units in a period, at one unit a segment; what would exceed them is withheld.

    Args:
        units: how many.
        within: the period, which moves along: the last 30 days, not a month.
        countries: codes of the countries it is about, counted together; None for all.
        lanes: which lanes it is about, counted together; by default all.
        reserved: how many of the units are for URGENT alone.
        name: tells it from another budget of the same countries and lanes.

    Raises:
        ValueError: more is reserved than there is.
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
            raise ValueError("reserved: at least 0, and no more than there is")
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
        return Withheld(f"of {most} units within {self._within} too few are left", rule="budget")


def _country(number: str) -> Country | None:
    try:
        return Country.from_number(number)
    except KeyError:
        return None


def _next(local: datetime, opens: time, closes: time) -> datetime | None:
    """Tell when it opens next, on a country's clock; None while it is open."""
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


def _named(lanes: Collection[Priority]) -> str:
    return ",".join(lane.name for lane in sorted(lanes))
