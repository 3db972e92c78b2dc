"""What receipts say about accepted messages, by country and by the start of the number."""

from collections import Counter, defaultdict
from collections.abc import Iterable

import attrs

from orange_sms_async.countries import Country

_SILENT = 3600.0  # seconds after which a message without a receipt is worth a look


@attrs.frozen(kw_only=True)
class DeliveryCount:
    """
    How many messages arrived, for one country or for one prefix of its numbers.

    Attributes:
        country: ISO 3166-1 alpha-3; "other" for countries that Orange's API does not serve, and
            for forgotten numbers.
        prefix: the two digits after the calling code; None for the whole country. Where numbers
            are ported, they do not show the operator.
        accepted: messages that Orange accepted. The next four are parts of them.
        delivered: messages that the phone has.
        impossible: DeliveryImpossible.
        uncertain: DeliveryUncertain.
        silent: accepted over an hour ago, without any receipt: debited, perhaps not received.
        median_seconds: the median of whole seconds from the attempt to the receipt that the phone
            has the message; None if none was delivered.
    """

    country: str
    prefix: str | None
    accepted: int
    delivered: int
    impossible: int
    uncertain: int
    silent: int
    median_seconds: int | None


# One integer identifies a group: the first five digits, the seconds to the phone, and a digit for
# what the receipt says. SQLite sorts it in half the time that columns take.
_NO_TIME = 99_999
QUERY = """
SELECT key, count(*) AS messages FROM (
    SELECT coalesce(CAST(substr(recipient, 2, 5) AS bigint), 0) * 1000000
        + coalesce(CASE WHEN {seconds} < 0 THEN 0 WHEN {seconds} > 99998 THEN 99998
            ELSE {seconds} END, 99999) * 10
        + CASE delivery WHEN 'DeliveredToTerminal' THEN 1 WHEN 'DeliveryImpossible' THEN 2
            WHEN 'DeliveryUncertain' THEN 3
            ELSE CASE WHEN delivery IS NULL AND finished_at < {silent} THEN 4 ELSE 0 END END AS key
    FROM {message} WHERE state = 'sent' AND finished_at >= {since}
) AS kept GROUP BY key
"""
"""Return the query. SQLite and PostgreSQL differ only in counting seconds and naming tables."""


def silent_since(now: float) -> float:
    """Return the time before which a message must be accepted to count as silent."""
    return now - _SILENT


def summary(groups: Iterable[tuple[int, int]]) -> list[DeliveryCount]:
    """Add up what the query found: each country, followed by its prefixes."""
    fates: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    times: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    for key, messages in groups:
        digits, rest = divmod(key, 1_000_000)
        seconds, fate = divmod(rest, 10)
        country, prefix = _start(f"{digits:05}")
        for of in {(country, ""), (country, prefix)}:
            fates[of][fate] += messages
            if seconds != _NO_TIME:
                times[of][seconds] += messages
    return [_count(*of, fates[of], times[of]) for of in sorted(fates)]


def _start(digits: str) -> tuple[str, str]:
    try:
        return Country.from_calling_code(digits[:3]).code, digits[3:]
    except KeyError:
        return "other", ""


def _count(country: str, prefix: str, fates: Counter[int], times: Counter[int]) -> DeliveryCount:
    return DeliveryCount(
        country=country,
        prefix=prefix or None,
        accepted=fates.total(),
        delivered=fates[1],
        impossible=fates[2],
        uncertain=fates[3],
        silent=fates[4],
        median_seconds=_median(times),
    )


def _median(times: Counter[int]) -> int | None:
    passed, half = 0, times.total() / 2
    for seconds in sorted(times):
        passed += times[seconds]
        if passed >= half:
            return seconds
    return None
