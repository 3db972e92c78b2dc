"""Which contract pays, and what would keep it from that."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from orange_sms_async import Contract, PurchaseOrder
from orange_sms_async.cli.contracts import days_left, paying, trouble
from orange_sms_async.cli.purchases import _show

NOW = datetime.now(UTC)
ACTIVE: dict[str, Any] = {
    "status": "ACTIVE",
    "available_units": 10,
    "expiration_date": NOW + timedelta(days=2),
}


def contract(offer_name="SMS_OCB", **fields):
    return Contract(country="CIV", offer_name=offer_name, **(ACTIVE | fields))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, ""),
        ({"expiration_date": None}, ""),
        ({"available_units": 1}, "contract for CIV has 1 of 2 units needed: buy a bundle of 1"),
        ({"status": "SUSPENDED"}, "contract for CIV is SUSPENDED: ask Orange"),
        ({"status": "EXPIRED", "expiration_date": None}, "contract for CIV expired: buy a bundle"),
        (
            {"expiration_date": datetime(2023, 9, 25, 23, 59, 59, tzinfo=UTC)},
            "contract for CIV expired on 2023-09-25: buy a bundle; unused units are kept",
        ),
        ({"expiration_date": NOW + timedelta(hours=12)}, "too early: buy a bundle"),
    ],
)
def test_what_is_in_the_way(fields, said):
    """
    Its status, its end or its units; one past its date is expired, though Orange says ACTIVE.
    """
    found = trouble(contract(**fields), "CIV", units=2, until=NOW + timedelta(days=1))

    assert found.startswith(said) or said in found
    assert bool(said) is bool(found)


def test_which_contract_pays():
    """
    That of the offer, of several the active one that ends last.
    """
    old, on_net = contract(status="EXPIRED"), contract("SMS_OCB2")
    later = contract(expiration_date=NOW + timedelta(days=9))
    several = [old, contract(), later, on_net]

    assert (9, None) == (days_left(later, NOW), days_left(contract(expiration_date=None), NOW))
    assert later is paying(several, "CIV")
    assert on_net is paying(several, "CIV", on_net=True)
    assert paying(several, "SEN") is None


def test_purchases_in_two_currencies(capsys):
    """
    A total for each; a payer's number is masked, and what Orange left out stays empty.
    """
    bought: dict[str, Any] = {"country": "CIV", "offer_name": "SMS_OCB", "purchase_date": NOW}
    _show(
        [
            PurchaseOrder(**bought, price=Decimal(725), currency="XOF", payer_id="2250700000001"),
            PurchaseOrder(**bought, price=Decimal("3.20"), currency="USD", new_available_units=100),
        ]
    )

    said = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [[f"{NOW:%Y-%m-%d}", "CIV", "SMS_OCB", "725", "XOF", "2250******01"]] == said[1:2]
    assert [["total", "0", "725", "XOF"], ["total", "100", "3.20", "USD"]] == said[3:]
