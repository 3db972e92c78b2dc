"""A file with what a sandbox starts with: contracts, their units, and sender names."""

import json
import os
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException

from orange_sms_async.sandbox.control.fields import Fields
from orange_sms_async.sandbox.orange.outbound import may_be_sender_name
from orange_sms_async.sandbox.settings import ALL_NETWORKS, COUNTRIES, ON_NET, Contract, in_days

_UNITS = 1_000_000_000


class SeedFileError(Exception):
    """The file cannot be used; the message says why in one line."""


def read_seed(path: str | os.PathLike[str]) -> dict[str, Any]:
    """
    Read what a sandbox starts with.

    Args:
        path: a JSON file: `{"contracts": [{"country": "CIV", "available_units": 100}],
            "sender_names": ["Boutique"]}`. Each may be left out; so may a contract's units, its
            `offer_name` and its `expiration_date`.

    Returns:
        Arguments of `Sandbox`.

    Raises:
        SeedFileError: it cannot be read, or breaks a rule.
    """
    try:
        content = json.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise SeedFileError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise SeedFileError(f"{path}: not JSON") from None
    try:
        return _arguments(content)
    except HTTPException as refusal:
        raise SeedFileError(f"{path}: {refusal.detail}") from None


def _arguments(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise HTTPException(400, "must be a JSON object")
    Fields(content).only("contracts", "sender_names")
    told: dict[str, Any] = {}
    if "contracts" in content:
        told["contracts"] = [
            _contract(Fields({"contract": one}).within("contract"))
            for one in _list(content, "contracts")
        ]
    if "sender_names" in content:
        told["sender_names"] = _names(_list(content, "sender_names"))
    return told


def _list(content: dict[str, Any], name: str) -> list[Any]:
    value = content[name]
    if not isinstance(value, list):
        raise HTTPException(400, f"{name}: a list")
    return value


def _contract(fields: Fields) -> Contract:
    fields.only("country", "available_units", "offer_name", "expiration_date")
    ends = fields.moment("expiration_date") if fields.has("expiration_date") else in_days(365)
    return Contract(
        fields.choice("country", tuple(sorted(COUNTRIES.values()))),
        fields.whole("available_units", 0, _UNITS, default=10_000_000),
        fields.choice("offer_name", (ALL_NETWORKS, ON_NET), default=ALL_NETWORKS),
        expiration_date=ends,
    )


def _names(names: list[Any]) -> list[str]:
    for name in names:
        if not isinstance(name, str) or not may_be_sender_name(name):
            raise HTTPException(400, "sender_names: 1 to 11 letters, digits or spaces each")
    return names
