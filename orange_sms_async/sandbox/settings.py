"""The settings of a sandbox: every argument of `Sandbox`, and the values they take."""

import datetime as dt
import sys
from collections.abc import Callable, Iterable
from typing import Any, Literal, get_args

import attrs
import httpx
from attrs import field
from attrs.validators import deep_iterable, ge, in_, le, optional

Throttle = Literal["rolling", "calendar", "bucket", "spike"]
ExpiresIn = Literal["string", "number", "absent"]
AccountShape = Literal["current", "2021"]

# The error for a sender name that is not approved. The page only says "400 requestError";
# integrators report SVC0002, and SVC0001 around POL2204 (unverified).
SenderNameError = Literal["SVC0002", "SVC0001"]

# Rules that most tests need not enforce; docs/sandbox.md says what each rests on.
Rule = Literal["sender_names", "sender_addresses", "ivorian_numbers", "on_net", "request_rate"]

# Orange's documented limit, and the default (D).
ORANGE_RATE = 5.0

# A choice: SVC0280 is documented and its limit is not; a sibling platform is said to take 1024.
LONGEST_MESSAGE = 1024

ALL_NETWORKS, ON_NET = "SMS_OCB", "SMS_OCB2"

# Orange's 13 countries, by calling code (D).
COUNTRIES = {
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

# "Country sender number" of each (D): the calling code and this.
SENDER_NUMBER = "0000"

# The status flips some seconds after the last second of the contract (captured: 28.5).
_FLIP = dt.timedelta(seconds=30)


def in_days(days: int) -> dt.datetime:
    """Return the last second of the day that many days from today."""
    last = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    return last.replace(hour=23, minute=59, second=59, microsecond=0)


@attrs.define
class Contract:
    """
    What an account may send to one country on one offer.

    Attributes:
        country: three letters, as `CIV`.
        available_units: what is left; a message costs one unit a segment.
        offer_name: `SMS_OCB`, or `SMS_OCB2` for messages to Orange's own network.
        expiration_date: the status follows from it. An expired contract keeps its units.
        id: Orange's; one is made up if it is empty.
        creation_date: when the contract was made.
        last_update_date: when units were last bought.
    """

    country: str
    available_units: int = 10_000_000
    offer_name: str = ALL_NETWORKS
    expiration_date: dt.datetime = field(factory=lambda: in_days(365), kw_only=True)
    id: str = field(default="", kw_only=True)
    creation_date: dt.datetime = field(factory=lambda: dt.datetime.now(dt.UTC), kw_only=True)
    last_update_date: dt.datetime = field(factory=lambda: dt.datetime.now(dt.UTC), kw_only=True)

    @property
    def status(self) -> str:
        """`ACTIVE`, or `EXPIRED` from half a minute after the last second."""
        late = dt.datetime.now(dt.UTC) - self.expiration_date
        return "EXPIRED" if late >= _FLIP else "ACTIVE"


def contracts_everywhere() -> tuple[Contract, ...]:
    """Contracts for all 13 countries, and one for Orange's own network in Côte d'Ivoire."""
    everywhere = [Contract(country) for country in sorted(COUNTRIES.values())]
    return (*everywhere, Contract("CIV", offer_name=ON_NET))


def _seconds(_: Any, attribute: "attrs.Attribute[Any]", value: float) -> None:
    # JSON has no infinity, and a clock counts in floats, which some ints are too large for.
    if not 0 <= value <= sys.float_info.max:
        raise ValueError(f"{attribute.name} must be a finite number of seconds, 0 or more")


_share = field(default=0.0, validator=[ge(0.0), le(1.0)])


@attrs.frozen(kw_only=True)
class ReceiptFaults:
    """
    What goes wrong with delivery receipts.

    Attributes:
        doubled: share of the receipts, from 0 to 1, that is posted twice.
        lost: share of the receipts that is never posted.
        late: share of the receipts that is posted `late_by` seconds later.
        late_by: seconds.
        reordered: share of the messages whose final receipt comes before MessageWaiting.
        before_answer: share of the messages whose first receipt is posted before their answer.
        revived: share of the messages whose receipt says DeliveryImpossible, and a later one
            DeliveredToTerminal.
        unnamed: share of the receipts whose `callbackData` is empty.
        repeats: how many more times a receipt is posted if it is not answered with 200.
        status: the status of all receipts instead; it may be one that Orange does not document.
    """

    doubled: float = _share
    lost: float = _share
    late: float = _share
    late_by: float = field(default=60.0, validator=_seconds)
    reordered: float = _share
    before_answer: float = _share
    revived: float = _share
    unnamed: float = _share
    repeats: int = field(default=0, validator=[ge(0), le(100)])
    status: str | None = None


def _announced(settings: "Settings", attribute: "attrs.Attribute[Any]", value: Any) -> Any:
    settings.on_change()
    return attrs.setters.validate(settings, attribute, value)


def _one_of(choices: Any) -> Any:
    return in_(get_args(choices))


# The converters have types, which become those of the arguments.


def _as_names(given: Iterable[str]) -> frozenset[str]:
    return frozenset(given)


def _as_rules(given: bool | Iterable[Rule]) -> frozenset[Rule]:
    if isinstance(given, bool):
        return frozenset(get_args(Rule) if given else ())
    return frozenset(given)


def _as_contracts(given: Iterable[Contract]) -> tuple[Contract, ...]:
    return tuple(given)


_fixed = attrs.setters.frozen  # changing it later would have no effect


@attrs.define(kw_only=True, eq=False, repr=False)
class Settings:
    """
    The arguments of `Sandbox`, checked; its docstring explains them.

    Orange and the page's API get only these, so that they do not depend on the whole sandbox. Most
    are fixed. The others are faults, and can be changed at any time.

    Attributes:
        on_change: called before one of them changes.
    """

    rate: float | None = field(default=ORANGE_RATE, on_setattr=_fixed)
    throttle: Throttle = field(default="rolling", on_setattr=_fixed, validator=_one_of(Throttle))
    throttle_status: int = field(default=403, on_setattr=_fixed, validator=in_((403, 429)))
    client_id: str = field(default="sandbox", on_setattr=_fixed)
    client_secret: str = field(default="sandbox", on_setattr=_fixed)
    token_lifetime: float | None = field(
        default=None, on_setattr=_fixed, validator=optional(_seconds)
    )
    expires_in: ExpiresIn = field(default="string", on_setattr=_fixed, validator=_one_of(ExpiresIn))
    receipt_url: str | None = field(default=None, on_setattr=_fixed)
    reply_url: str | None = field(default=None, on_setattr=_fixed)
    receipt_delay: float = field(default=1.0, on_setattr=_announced, validator=_seconds)
    receipt_transport: httpx.AsyncBaseTransport | None = field(default=None, on_setattr=_fixed)
    receipt_faults: ReceiptFaults = field(factory=ReceiptFaults, on_setattr=_announced)
    sender_names: frozenset[str] = field(
        default=frozenset({"MonService"}), converter=_as_names, on_setattr=_fixed
    )
    sender_name_error: SenderNameError = field(
        default="SVC0002", on_setattr=_fixed, validator=_one_of(SenderNameError)
    )
    raw_sender: bool = field(default=True, on_setattr=_fixed)
    longest_message: int = field(default=LONGEST_MESSAGE, on_setattr=_fixed, validator=ge(1))
    subscriptions: bool = field(default=True, on_setattr=_fixed)
    account_shape: AccountShape = field(
        default="current", on_setattr=_fixed, validator=_one_of(AccountShape)
    )
    contracts: tuple[Contract, ...] = field(
        factory=contracts_everywhere, converter=_as_contracts, on_setattr=_fixed
    )
    latency: float = field(default=0.0, on_setattr=_announced, validator=_seconds)
    jitter: float = field(default=0.0, on_setattr=_announced, validator=_seconds)
    token_latency: float = field(default=0.0, on_setattr=_announced, validator=_seconds)
    strict: frozenset[Rule] = field(
        default=frozenset(),
        converter=_as_rules,
        on_setattr=_fixed,
        validator=deep_iterable(_one_of(Rule)),
    )
    keep: int = field(default=10_000, on_setattr=_fixed, validator=ge(1))
    seed: int | None = field(default=None, on_setattr=_fixed)

    on_change: Callable[[], None] = field(init=False)
