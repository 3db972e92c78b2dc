"""How the sandbox's settings behave: some are fixed, some are faults that the page shows."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, get_args

import attrs

from orange_sms_async.sandbox.orange.ledger import Contract

if TYPE_CHECKING:
    from orange_sms_async.sandbox.sandbox import Sandbox

Throttle = Literal["rolling", "calendar", "bucket", "spike"]

fixed = attrs.setters.frozen  # changing it later would have no effect
duration = attrs.validators.ge(0.0)


def one_of(choices: Any) -> Any:
    return attrs.validators.in_(get_args(choices))


def as_names(given: Iterable[str]) -> frozenset[str]:
    return frozenset(given)


def as_contracts(given: Iterable[Contract]) -> tuple[Contract, ...]:
    return tuple(given)


def announced(sandbox: "Sandbox", attribute: "attrs.Attribute[Any]", value: Any) -> Any:
    """Tell the page, which shows it among the faults and may change it."""
    sandbox.events.publish("faults")
    return attrs.setters.validate(sandbox, attribute, value)
