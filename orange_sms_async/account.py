"""What an account has, used and bought. Attributes are Orange's fields in snake case."""

from datetime import datetime
from decimal import Decimal

import attrs


@attrs.frozen(kw_only=True)
class Contract:
    """
    The balance for one country and offer.

    Attributes:
        country: ISO 3166-1 alpha-3.
        offer_name: such as "SMS_OCB", or "SMS_OCB2" for Orange's own network only.
        available_units: SMS left. An expired contract keeps them; the next bundle adds to them.
        status: "ACTIVE" or "EXPIRED"; Orange may add others. It changes a few seconds after
            midnight UTC, so a contract can be past its `expiration_date` and still ACTIVE.
        expiration_date: with its time zone, like all dates of the account. Orange uses UTC.
        application_id: None in production.
    """

    country: str
    offer_name: str
    available_units: int
    status: str
    expiration_date: datetime | None = None
    id: str | None = None
    type: str | None = None
    developer_id: str | None = None
    application_id: str | None = None
    requested_units: int | None = None
    creation_date: datetime | None = None
    last_update_date: datetime | None = None


@attrs.frozen(kw_only=True)
class UsageStatistics:
    """
    SMS sent by one application through one service to one country.

    Attributes:
        country: ISO 3166-1 alpha-3.
        appid: the application; None in a row that belongs to no application.
        usage: requests counted, at least as many as `nb_enforcements`.
        nb_enforcements: units debited.
    """

    service: str
    country: str
    appid: str | None = None
    usage: int
    nb_enforcements: int


@attrs.frozen(kw_only=True)
class PurchaseOrder:
    """
    One bundle bought.

    Attributes:
        country: ISO 3166-1 alpha-3.
        price: in `currency`, exact.
        currency: as Orange writes it, such as "XOF".
        payment_mode: "Airtime", "OrangeMoney", "OTP_SMS_OCB", "NOCHALLENGE_OM", or another.
        payer_id: a phone number or an e-mail address. It is personal, so no repr shows it.
    """

    country: str
    offer_name: str
    price: Decimal
    currency: str
    purchase_date: datetime
    id: str | None = None
    developer_id: str | None = None
    contract_id: str | None = None
    bundle_id: str | None = None
    bundle_description: str | None = None
    payment_mode: str | None = None
    payment_provider_order_id: str | None = None
    payer_id: str | None = attrs.field(default=None, repr=False)
    type: str | None = None
    old_available_units: int | None = None
    new_available_units: int | None = None
    old_expiration_date: datetime | None = None
    new_expiration_date: datetime | None = None
    external_id: str | None = None
    comment: str | None = None
