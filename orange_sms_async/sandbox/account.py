"""The account: what was bought, what is left of it, and what was used."""

import datetime as dt
import random
from collections import Counter
from collections.abc import Iterable
from typing import Any

import attrs

from orange_sms_async.sandbox.answers import RefusalError, backend_error

ALL_NETWORKS, ON_NET = "SMS_OCB", "SMS_OCB2"

# Orange's 13 countries, by calling code (D).
_COUNTRIES = {
    "216": "TUN",
    "221": "SEN",
    "223": "MLI",
    "224": "GIN",
    "225": "CIV",
    "226": "BFA",
    "231": "LBR",
    "237": "CMR",
    "243": "COD",
    "245": "GNB",
    "261": "MDG",
    "267": "BWA",
    "962": "JOR",
}

# The status flips some seconds after the last second of the contract (captured: 28.5).
_FLIP = dt.timedelta(seconds=30)


def country_of(address: str) -> str | None:
    return _COUNTRIES.get(address.removeprefix("tel:+")[:3])


def _in_days(days: int) -> dt.datetime:
    last = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    return last.replace(hour=23, minute=59, second=59, microsecond=0)


def _stamp(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@attrs.define
class Contract:
    """
    What an account may send to one country on one offer.

    Attributes:
        offer_name: `SMS_OCB`, or `SMS_OCB2` for messages to Orange's own network.
        expiration_date: the status follows from it. An expired contract keeps its units.
    """

    country: str
    available_units: int = 10_000_000
    offer_name: str = ALL_NETWORKS
    expiration_date: dt.datetime = attrs.field(factory=lambda: _in_days(365), kw_only=True)
    id: str = attrs.field(default="", kw_only=True)
    creation_date: dt.datetime = attrs.field(factory=lambda: dt.datetime.now(dt.UTC), kw_only=True)
    last_update_date: dt.datetime = attrs.field(
        factory=lambda: dt.datetime.now(dt.UTC), kw_only=True
    )

    @property
    def status(self) -> str:
        late = dt.datetime.now(dt.UTC) - self.expiration_date
        return "EXPIRED" if late >= _FLIP else "ACTIVE"


def contracts_everywhere() -> tuple[Contract, ...]:
    """Contracts for all 13 countries, and one for Orange's own network in Côte d'Ivoire."""
    everywhere = [Contract(country) for country in sorted(_COUNTRIES.values())]
    return (*everywhere, Contract("CIV", offer_name=ON_NET))


class Account:
    """Contracts, purchase orders and counters, changed by every message taken."""

    def __init__(self, contracts: Iterable[Contract], chance: random.Random) -> None:
        self._chance = chance
        self.developer_id = self._made_up_id()
        self.application_id = self._made_up_id()
        self.units_used = 0
        self._contracts: dict[tuple[str, str], Contract] = {}
        self._purchase_orders: list[dict[str, Any]] = []
        self._usage: Counter[tuple[str, str]] = Counter()
        self._enforcements: Counter[tuple[str, str]] = Counter()
        for contract in contracts:
            self._open(contract)

    def contract(self, country: str, offer_name: str = ALL_NETWORKS) -> Contract:
        return self._contracts[country, offer_name]

    def buy(
        self, country: str, units: int, *, offer_name: str = ALL_NETWORKS, days: int = 30
    ) -> None:
        """Add a bundle to what is left, expired or not, and prolong the contract."""
        old = self._contracts.get((country, offer_name))
        until = _in_days(days)
        if old is None:
            self._open(Contract(country, units, offer_name, expiration_date=until))
            return
        before = attrs.evolve(old)
        old.available_units += units
        old.expiration_date = until
        old.last_update_date = dt.datetime.now(dt.UTC)
        self._record_purchase(before, old)

    def expire(self, country: str, offer_name: str = ALL_NETWORKS) -> None:
        """End the contract two days ago, as yesterday may be seconds ago; its units stay."""
        self.contract(country, offer_name).expiration_date = _in_days(-2)

    def charge(self, address: str, units: int, *, on_net: bool) -> None:
        """
        Take the units of a message from the contract for its country.

        The texts: "Expired contract" was captured, the two others are unverified claims.
        """
        offer_name = ON_NET if on_net else ALL_NETWORKS
        contract = self._contracts.get((country_of(address) or "", offer_name))
        if contract is None:
            raise RefusalError(backend_error("POL0001", "No contract found for the given country"))
        key = (offer_name, contract.country)
        # A choice: usage also counts what was refused. Captured is only that it is the larger one.
        self._usage[key] += units
        if contract.status == "EXPIRED":
            raise RefusalError(backend_error("POL0001", "Expired contract"))
        if contract.available_units < units:
            raise RefusalError(backend_error("POL0001", "insufficient credits"))
        contract.available_units -= units
        self._enforcements[key] += units
        self.units_used += units

    def contracts_answer(self, country: str | None) -> list[dict[str, Any]]:
        return [
            self._contract_answer(contract)
            for contract in self._contracts.values()
            if country in (None, contract.country)
        ]

    def purchase_orders_answer(self, country: str | None) -> list[dict[str, Any]]:
        # Newest first was captured; the sample of Orange's page is oldest first.
        orders = reversed(self._purchase_orders)
        return [order for order in orders if country in (None, order["country"])]

    def statistics_answer(self, country: str | None, appid: str | None) -> dict[str, Any]:
        offers: dict[str, list[dict[str, Any]]] = {}
        for offer_name, used_in in self._usage:
            if country in (None, used_in):
                rows = self._country_statistics(offer_name, used_in, appid)
                row = {"country": used_in, "countryStatistics": rows}
                offers.setdefault(offer_name, []).append(row)
        statistics = [{"service": name, "serviceStatistics": rows} for name, rows in offers.items()]
        return {"partnerStatistics": {"developerId": self.developer_id, "statistics": statistics}}

    def _country_statistics(
        self, offer_name: str, country: str, appid: str | None
    ) -> list[dict[str, Any]]:
        key = (offer_name, country)
        rows: list[dict[str, Any]] = [
            # Captured: a row of its own for what was sent by no application.
            {"appid": None, "usage": 0, "nbEnforcements": 0},
            {
                "appid": self.application_id,
                "usage": self._usage[key],
                "nbEnforcements": self._enforcements[key],
            },
        ]
        return [row for row in rows if appid in (None, row["appid"])]

    def _contract_answer(self, contract: Contract) -> dict[str, Any]:
        return {
            "id": contract.id,
            "type": "SELFSERVICE",
            "developerId": self.developer_id,
            "applicationId": None,  # captured
            "country": contract.country,
            "offerName": contract.offer_name,
            "availableUnits": contract.available_units,
            "requestedUnits": 0,
            "status": contract.status,
            "expirationDate": _stamp(contract.expiration_date),
            "creationDate": _stamp(contract.creation_date),
            "lastUpdateDate": _stamp(contract.last_update_date),
        }

    def _open(self, contract: Contract) -> None:
        opened = attrs.evolve(contract, id=contract.id or self._made_up_id())
        self._contracts[opened.country, opened.offer_name] = opened
        self._record_purchase(None, opened)

    def _record_purchase(self, before: Contract | None, after: Contract) -> None:
        old_units = before.available_units if before else 0
        units = after.available_units - old_units
        order = {
            "id": self._made_up_id(),
            "developerId": self.developer_id,
            "contractId": after.id,
            "country": after.country,
            "offerName": after.offer_name,
            "bundleId": self._made_up_id(),
            "bundleDescription": f"Bundle 1 - {units} SMS",
            "price": 725,
            "currency": "XOF",
            "purchaseDate": _stamp(after.last_update_date),
            "paymentMode": "OrangeMoney",
            "paymentProviderOrderId": None,
            "payerId": "dev@example.org",
            "type": "BUNDLE_PURCHASE",
            "oldAvailableUnits": old_units,
            "newAvailableUnits": after.available_units,
            "oldExpirationDate": _stamp(before.expiration_date) if before else None,
            "newExpirationDate": _stamp(after.expiration_date),
            "externalId": self._made_up_id(),
            "comment": None,
        }
        self._purchase_orders.append(order)

    def _made_up_id(self) -> str:
        return f"{self._chance.getrandbits(96):024x}"
