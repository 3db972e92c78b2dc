"""What Orange answers about the account, in today's form and in that before 2022."""

import datetime as dt
from typing import Any

from orange_sms_async.sandbox.orange.ledger import Account, PurchaseOrder
from orange_sms_async.sandbox.settings import ALL_NETWORKS, AccountShape, Contract

# Each country's currency, and one of the modes of payment that were seen (a choice).
_MONEY = {
    "BWA": ("BWP", "Airtime"),
    "BFA": ("XOF", "OrangeMoney"),
    "CMR": ("XAF", "OrangeMoney"),
    "CIV": ("XOF", "OrangeMoney"),
    "GIN": ("GNF", "OrangeMoney"),
    "GNB": ("XOF", "Airtime"),
    "COD": ("USD", "Airtime"),
    "JOR": ("JOD", "Airtime"),
    "LBR": ("USD", "NOCHALLENGE_OM"),
    "MLI": ("XOF", "OTP_SMS_OCB"),
    "MDG": ("MGA", "NOCHALLENGE_OM"),
    "SEN": ("XOF", "NOCHALLENGE_OM"),
    "TUN": ("TND", "Airtime"),
}


def _money(country: str) -> tuple[str, str]:
    return _MONEY.get(country, ("EUR", "Airtime"))


def _stamp(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def contracts(account: Account, country: str | None, shape: AccountShape) -> Any:
    """Answer with the contracts, of one country or of all."""
    chosen = [c for c in account.contracts if country in (None, c.country)]
    if shape == "2021":
        return _wrapped(account, chosen)
    return [_contract(account, contract) for contract in chosen]


def purchase_orders(account: Account, country: str | None, shape: AccountShape) -> Any:
    """Answer with the purchase orders, of one country or of all."""
    # Newest first was captured; the sample of Orange's page is oldest first.
    orders = [o for o in reversed(account.purchase_orders) if country in (None, o.after.country)]
    if shape == "2021":
        return {"purchaseOrders": [_old_order(account, order) for order in orders]}
    return [_order(account, order) for order in orders]


def statistics(account: Account, country: str | None, appid: str | None) -> dict[str, Any]:
    """Answer with the usage statistics, of one country and one application or of all."""
    offers: dict[str, list[dict[str, Any]]] = {}
    for offer_name, used_in in account.usage:
        if country in (None, used_in):
            rows = _country_statistics(account, offer_name, used_in, appid)
            row = {"country": used_in, "countryStatistics": rows}
            offers.setdefault(offer_name, []).append(row)
    services = [{"service": name, "serviceStatistics": rows} for name, rows in offers.items()]
    return {"partnerStatistics": {"developerId": account.developer_id, "statistics": services}}


def _country_statistics(
    account: Account, offer_name: str, country: str, appid: str | None
) -> list[dict[str, Any]]:
    key = (offer_name, country)
    rows: list[dict[str, Any]] = [
        # Captured: a row of its own for what was sent by no application.
        {"appid": None, "usage": 0, "nbEnforcements": 0},
        {
            "appid": account.application_id,
            "usage": account.usage[key],
            "nbEnforcements": account.enforcements[key],
        },
    ]
    return [row for row in rows if appid in (None, row["appid"])]


def _contract(account: Account, contract: Contract) -> dict[str, Any]:
    return {
        "id": contract.id,
        "type": "SELFSERVICE",
        "developerId": account.developer_id,
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


def _order(account: Account, order: PurchaseOrder) -> dict[str, Any]:
    before, after = order.before, order.after
    currency, mode = _money(after.country)
    return {
        "id": order.id,
        "developerId": account.developer_id,
        "contractId": after.id,
        "country": after.country,
        "offerName": after.offer_name,
        "bundleId": order.bundle_id,
        "bundleDescription": f"Bundle 1 - {order.units} SMS",
        "price": 725,
        "currency": currency,
        "purchaseDate": _stamp(after.last_update_date),
        "paymentMode": mode,
        "paymentProviderOrderId": None,
        "payerId": "dev@example.org",
        "type": "BUNDLE_PURCHASE",
        "oldAvailableUnits": before.available_units if before else 0,
        "newAvailableUnits": after.available_units,
        "oldExpirationDate": _stamp(before.expiration_date) if before else None,
        "newExpirationDate": _stamp(after.expiration_date),
        "externalId": order.external_id,
        "comment": None,
    }


# The shapes of before 2022 are those that old clients read (seen), not documented any more.


def _wrapped(account: Account, chosen: list[Contract]) -> dict[str, Any]:
    offers: dict[str, list[dict[str, Any]]] = {ALL_NETWORKS: []}
    for contract in chosen:
        row = {
            "country": contract.country,
            "service": contract.offer_name,
            "contractId": contract.id,
            "availableUnits": contract.available_units,
            "expires": _old_stamp(contract.expiration_date),
            "scDescription": "SMS API - 5 SMS / s",
        }
        offers.setdefault(contract.offer_name, []).append(row)
    services = [
        {"service": name, "contractDescription": f"SMS - {name}", "serviceContracts": rows}
        for name, rows in offers.items()
    ]
    return {"partnerContracts": {"partnerId": account.developer_id, "contracts": services}}


def _old_order(account: Account, order: PurchaseOrder) -> dict[str, Any]:
    return {
        "purchaseOrderId": order.id,
        "mode": "OTP-SMS-OCB",
        "bundleId": order.bundle_id,
        "bundleDescription": f"Bundle 1 - {order.units} SMS",
        "partnerId": account.developer_id,
        "inputs": [{"type": "bundleId", "value": order.bundle_id}],
        "orderExecutioninformation": {
            "date": _old_stamp(order.after.last_update_date),
            "amount": 725,
            "currency": _money(order.after.country)[0],
            "service": order.after.offer_name,
            "country": order.after.country,
            "contractId": order.after.id,
        },
    }


def _old_stamp(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
