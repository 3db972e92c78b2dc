"""Whether contracts let messages through; if not, one line says why and what to do."""

from collections.abc import Iterable
from datetime import UTC, datetime

from orange_sms_async import Contract
from orange_sms_async.cli.words import many

_ON_NET = "SMS_OCB2"
_NO_END = datetime.max.replace(tzinfo=UTC)


def is_active(contract: Contract, at: datetime) -> bool:
    """Tell whether it pays at that moment; its status alone is some seconds late."""
    return contract.status == "ACTIVE" and _end(contract) > at


def days_left(contract: Contract, now: datetime) -> int | None:
    """Count the days until it expires, in UTC as Orange does; None if it does not expire."""
    if contract.expiration_date is None:
        return None
    return (contract.expiration_date.astimezone(UTC).date() - now.astimezone(UTC).date()).days


def paying(contracts: Iterable[Contract], country: str, *, on_net: bool = False) -> Contract | None:
    """Choose the contract that pays for messages to a country, or would if renewed."""
    found = [
        contract
        for contract in contracts
        if contract.country == country and (contract.offer_name == _ON_NET) is on_net
    ]
    return max(found, key=lambda one: (one.status == "ACTIVE", _end(one)), default=None)


def trouble(contract: Contract | None, country: str, *, units: int, until: datetime) -> str:
    """Explain why the contract cannot cover these units by then; "" if it can."""
    if contract is None:
        return f"no contract for {country}: buy a bundle"
    now, end = datetime.now(UTC), _end(contract)
    if contract.status == "EXPIRED" or end <= now:
        when = f" on {end.astimezone(UTC):%Y-%m-%d}" if contract.expiration_date else ""
        return f"contract for {country} expired{when}: buy a bundle; unused units are kept"
    if contract.status != "ACTIVE":
        return f"contract for {country} is {contract.status}: ask Orange"
    if end <= until:
        when = f"{end.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        return (
            f"contract for {country} ends on {when}, too early: buy a bundle; unused units are kept"
        )
    if contract.available_units < units:
        short = units - contract.available_units
        has = f"contract for {country} has {contract.available_units:,} of {many(units, 'units')}"
        return f"{has} needed: buy a bundle of {short:,} or more"
    return ""


def _end(contract: Contract) -> datetime:
    return contract.expiration_date or _NO_END
