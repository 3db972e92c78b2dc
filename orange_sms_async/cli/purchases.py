"""`orange-sms purchases`: the bundles bought."""

from collections import Counter
from decimal import Decimal

from orange_sms_async import PurchaseOrder
from orange_sms_async.cli.listing import AsCsv, AsJson, InCountry, answer
from orange_sms_async.cli.options import Debug
from orange_sms_async.cli.stdout import show, table
from orange_sms_async.messages import mask


def purchases(
    *, country: InCountry = None, json: AsJson = False, csv: AsCsv = False, debug: Debug = False
) -> None:
    """
    Show the bundles bought, the newest first.

    The payer is a phone number or an e-mail address: the table masks it, --json and --csv show it
    in full. A contract expires on the date set by its last bundle.

    Exit codes: 0, or 3 for wrong credentials, 4 if Orange is unreachable.
    """
    answer(
        lambda client: client.purchase_orders(country=country),
        PurchaseOrder,
        _show,
        as_json=json,
        as_csv=csv,
        debug=debug,
    )


def _show(orders: list[PurchaseOrder]) -> None:
    columns = ("bought", "contract", "units", "price", "payer", "expires")
    made = table(*columns, numbers=("units", "price"), whole=("bought", "expires"))
    made.padding = (0, 1, 0, 0)  # or they do not fit into 60 columns
    made.columns[1].min_width = len("SMS_OCB2")
    for order in sorted(orders, key=lambda one: one.purchase_date, reverse=True):
        end = order.new_expiration_date
        made.add_row(
            f"{order.purchase_date:%Y-%m-%d}",
            f"{order.country} {order.offer_name}",
            _units(order),
            f"{order.price:,} {order.currency}",
            _masked(order.payer_id or ""),
            f"{end:%Y-%m-%d}" if end else "",
        )
    for units, price in _totals(orders):
        made.add_row("total", "", units, price)
    show(made)


def _units(order: PurchaseOrder) -> str:
    bought = _bought(order)
    return "" if bought is None else f"{bought:,}"


def _bought(order: PurchaseOrder) -> int | None:
    if order.new_available_units is None:
        return None
    return order.new_available_units - (order.old_available_units or 0)


def _totals(orders: list[PurchaseOrder]) -> list[tuple[str, str]]:
    """Add up units and prices, a line for each currency."""
    units, prices = Counter[str](), dict[str, Decimal]()
    for order in orders:
        units[order.currency] += _bought(order) or 0
        prices[order.currency] = prices.get(order.currency, Decimal()) + order.price
    return [(f"{units[of]:,}", f"{price:,} {of}") for of, price in prices.items()]


def _masked(payer: str) -> str:
    if not payer:
        return ""
    return f"{payer[0]}***@" if "@" in payer else mask(payer)
