"""The account: what was bought, what is left, and what was used."""

import datetime as dt
import random
from collections import Counter, deque
from collections.abc import Callable, Iterable

import attrs

from orange_sms_async.sandbox.orange.answers import RefusalError, backend_error
from orange_sms_async.sandbox.orange.outbound import may_be_sender_name
from orange_sms_async.sandbox.orange.wrong import Wrong
from orange_sms_async.sandbox.settings import (
    ALL_NETWORKS,
    COUNTRIES,
    ON_NET,
    Contract,
    in_days,
)

_ORDERS = 200  # purchase orders that are remembered


def _country_of(address: str) -> str | None:
    return COUNTRIES.get(address.removeprefix("tel:+")[:3])


@attrs.frozen(kw_only=True)
class PurchaseOrder:
    """
    A bundle that was bought.

    Attributes:
        id: Orange's id; `bundle_id` and `external_id` are others, without meaning here.
        bundle_id: see `id`.
        external_id: see `id`.
        before: the contract before the purchase; None if the bundle opened it.
        after: the contract after the purchase.
    """

    id: str
    bundle_id: str
    external_id: str
    before: Contract | None
    after: Contract

    @property
    def units(self) -> int:
        """How many units it added."""
        return self.after.available_units - (self.before.available_units if self.before else 0)


@attrs.frozen(kw_only=True)
class AccountState:
    """
    All of an account at one moment.

    Attributes:
        developer_id: Orange's id of who owns the account.
        application_id: Orange's id of the application that sends.
        contracts: with the units left.
        purchase_orders: oldest first.
        sender_names: the approved names.
        usage: offer, country and the units asked for.
        enforcements: offer, country and the units taken.
    """

    developer_id: str
    application_id: str
    contracts: list[Contract]
    purchase_orders: list[PurchaseOrder]
    sender_names: list[str]
    usage: list[tuple[str, str, int]]
    enforcements: list[tuple[str, str, int]]


class Account:
    """
    Contracts, purchase orders, approved sender names and counters.

    Attributes:
        developer_id: Orange's id of who owns the account.
        application_id: Orange's id of the application that sends.
        sender_names: the approved names; changed by `approve` and `withdraw`.
        purchase_orders: the last ones, oldest first.
        usage: units asked for, by offer and country.
        enforcements: units taken, by offer and country.
        on_change: called when its owner changes it, but not when messages use units.
    """

    def __init__(
        self,
        contracts: Iterable[Contract],
        sender_names: Iterable[str],
        chance: random.Random,
        on_change: Callable[[], None],
    ) -> None:
        self._chance = chance
        self.on_change = on_change
        self._given = tuple(contracts), frozenset(sender_names)
        self.sender_names: set[str] = set()
        self._contracts: dict[tuple[str, str], Contract] = {}
        self.purchase_orders: deque[PurchaseOrder] = deque(maxlen=_ORDERS)
        self.usage: Counter[tuple[str, str]] = Counter()
        self.enforcements: Counter[tuple[str, str]] = Counter()
        self.start_anew()

    def start_anew(self) -> None:
        """Return to the state it was given at the start."""
        contracts, sender_names = self._given
        self.developer_id = self._made_up_id()
        self.application_id = self._made_up_id()
        for kept in (self._contracts, self.purchase_orders, self.usage, self.enforcements):
            kept.clear()
        self.sender_names.clear()
        self.sender_names.update(sender_names)
        for contract in contracts:
            self._open(contract)

    @property
    def contracts(self) -> list[Contract]:
        """All contracts, with the units left."""
        return list(self._contracts.values())

    def contract(self, country: str, offer_name: str = ALL_NETWORKS) -> Contract:
        """
        Return a contract, which may be changed directly.

        Args:
            country: three letters, as `CIV`.
            offer_name: `SMS_OCB`, or `SMS_OCB2` for Orange's own network.

        Returns:
            The contract itself.

        Raises:
            KeyError: there is no such contract.
        """
        return self._contracts[country, offer_name]

    def buy(
        self, country: str, units: int, *, offer_name: str = ALL_NETWORKS, days: int = 30
    ) -> None:
        """
        Add a bundle to a contract, expired or not, and extend the contract if it ends earlier.

        Args:
            country: three letters, as `CIV`; a contract is opened if there is none.
            units: how many units to add.
            offer_name: `SMS_OCB`, or `SMS_OCB2` for Orange's own network.
            days: how many days the contract lasts, from now.
        """
        old = self._contracts.get((country, offer_name))
        until = in_days(days)
        if old is None:
            self._open(Contract(country, units, offer_name, expiration_date=until))
        else:
            before = attrs.evolve(old)
            old.available_units += units
            old.expiration_date = max(old.expiration_date, until)
            old.last_update_date = dt.datetime.now(dt.UTC)
            self._record_purchase(before, old)
        self.on_change()

    def expire(self, country: str, offer_name: str = ALL_NETWORKS) -> None:
        """
        End the contract two days ago, because yesterday may be seconds ago; its units stay.

        Args:
            country: three letters, as `CIV`.
            offer_name: `SMS_OCB`, or `SMS_OCB2` for Orange's own network.

        Raises:
            KeyError: there is no such contract.
        """
        self.contract(country, offer_name).expiration_date = in_days(-2)
        self.on_change()

    def approve(self, sender_name: str) -> None:
        """
        Let messages name this sender from now on.

        Raises:
            ValueError: Orange could not approve such a name.
        """
        if not may_be_sender_name(sender_name):
            raise ValueError("1 to 11 letters, digits or spaces")
        self.sender_names.add(sender_name)
        self.on_change()

    def withdraw(self, sender_name: str) -> None:
        """
        Withdraw the approval of a sender name.

        Raises:
            KeyError: it was not approved.
        """
        self.sender_names.remove(sender_name)
        self.on_change()

    def charge(self, address: str, units: int, *, on_net: bool) -> None:
        """
        Take the units of a message from the contract for its country.

        Args:
            address: the recipient, whose calling code gives the country.
            units: the cost of the message.
            on_net: whether the contract for Orange's own network pays.

        Raises:
            RefusalError: there is no contract, it has expired, or it has too few units.
        """
        # Of these texts, only "Expired contract" was captured; the other two are unverified.
        offer_name = ON_NET if on_net else ALL_NETWORKS
        contract = self._contracts.get((_country_of(address) or "", offer_name))
        if contract is None:
            refusal = backend_error("POL0001", "No contract found for the given country")
            raise RefusalError(refusal, Wrong.NO_CONTRACT)
        key = (offer_name, contract.country)
        # A choice: usage also counts refused messages. The captures show only that it is larger.
        self.usage[key] += units
        if contract.status == "EXPIRED":
            raise RefusalError(backend_error("POL0001", "Expired contract"), Wrong.EXPIRED_CONTRACT)
        if contract.available_units < units:
            raise RefusalError(backend_error("POL0001", "insufficient credits"), Wrong.NO_UNITS)
        contract.available_units -= units
        self.enforcements[key] += units

    def state(self) -> AccountState:
        """Return the whole account as it is now."""
        return AccountState(
            developer_id=self.developer_id,
            application_id=self.application_id,
            contracts=self.contracts,
            purchase_orders=list(self.purchase_orders),
            sender_names=sorted(self.sender_names),
            usage=[(*key, units) for key, units in self.usage.items()],
            enforcements=[(*key, units) for key, units in self.enforcements.items()],
        )

    def restore(self, state: AccountState) -> None:
        """Become the account of an earlier run."""
        self.developer_id, self.application_id = state.developer_id, state.application_id
        self._contracts = {(c.country, c.offer_name): c for c in state.contracts}
        self.purchase_orders = deque(state.purchase_orders, maxlen=_ORDERS)
        self.sender_names.clear()
        self.sender_names.update(state.sender_names)
        self.usage = Counter({(offer, of): units for offer, of, units in state.usage})
        self.enforcements = Counter({(offer, of): units for offer, of, units in state.enforcements})

    def _open(self, contract: Contract) -> None:
        opened = attrs.evolve(contract, id=contract.id or self._made_up_id())
        self._contracts[opened.country, opened.offer_name] = opened
        self._record_purchase(None, opened)

    def _record_purchase(self, before: Contract | None, after: Contract) -> None:
        order = PurchaseOrder(
            id=self._made_up_id(),
            bundle_id=self._made_up_id(),
            external_id=self._made_up_id(),
            before=before,
            after=attrs.evolve(after),
        )
        self.purchase_orders.append(order)

    def _made_up_id(self) -> str:
        return f"{self._chance.getrandbits(96):024x}"
