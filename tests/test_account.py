"""What was bought and used, read from what Orange answers."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from samples import sample

from orange_sms_async import ConnectionFailed, _wire
from orange_sms_async.account import Contract, UsageStatistics


def read(body, reader):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return reader(_wire.Answer(200, {"x-oapi-request-id": "request-7"}, body))


def test_a_contract():
    """
    Every field of Orange's page, in snake case, with dates that know their zone.
    """
    expected = Contract(
        id="6368bdba70585131d5454a5a",
        type="SELFSERVICE",
        developer_id="xxxxxxxxxxxxxxxx",
        application_id="yyyyyyyyyyyyyyyy",
        country="CIV",
        offer_name="SMS_OCB",
        available_units=120,
        requested_units=0,
        status="ACTIVE",
        expiration_date=datetime(2023, 1, 7, 15, 4, 20, 653000, UTC),
        creation_date=datetime(2022, 11, 7, 8, 11, 38, 220000, UTC),
        last_update_date=datetime(2022, 12, 8, 15, 4, 20, 656000, UTC),
    )

    assert [expected] == read(sample("account/contracts.json"), _wire.contracts)


def test_an_expired_contract_keeps_its_units():
    """
    As in production, where no application is named either.
    """
    (contract,) = read(sample("account/contracts_production.json"), _wire.contracts)

    assert ("EXPIRED", 169, None) == (
        contract.status,
        contract.available_units,
        contract.application_id,
    )


CONTRACT = {"country": "CIV", "offerName": "SMS_OCB", "availableUnits": 1, "status": "ACTIVE"}


@pytest.mark.parametrize(
    ("more", "attribute", "value"),
    [
        ({"status": "SUSPENDED"}, "status", "SUSPENDED"),
        ({"type": "RESELLER"}, "type", "RESELLER"),
        ({"expirationDate": None}, "expiration_date", None),
        ({"somethingNew": {"a": [1]}}, "country", "CIV"),
        ({"developerId": 12}, "developer_id", "12"),
        (
            {"expirationDate": "2023-09-25T23:59:59"},
            "expiration_date",
            datetime(2023, 9, 25, 23, 59, 59, tzinfo=UTC),
        ),
    ],
)
def test_what_orange_may_add_or_leave_out(more, attribute, value):
    """
    Unknown words, new fields, nulls and a date without a zone never fail.
    """
    (contract,) = read([CONTRACT | more], _wire.contracts)

    assert value == getattr(contract, attribute)


def test_usage_is_flat():
    """
    One row for each service, country and application, that of no application included.
    """
    rows = read(sample("account/statistics_production.json"), _wire.usage_statistics)

    assert [
        UsageStatistics(service="SMS_OCB", country="CIV", usage=13, nb_enforcements=13),
        UsageStatistics(
            service="SMS_OCB",
            country="CIV",
            appid="xxxxxxxxxxxxxxxx",
            usage=47,
            nb_enforcements=38,
        ),
    ] == rows


@pytest.mark.parametrize(
    ("countries", "expected"),
    [
        ({"CIV": ["a", "b"], "SEN": ["a"]}, [("CIV", "a"), ("CIV", "b"), ("SEN", "a")]),
        ({"CIV": []}, []),
        ({}, []),
    ],
)
def test_usage_of_several_countries(countries, expected):
    """
    Rows keep Orange's order; where nothing was sent there is none.
    """
    service = [
        {
            "country": country,
            "countryStatistics": [{"appid": app, "usage": 2, "nbEnforcements": 1} for app in apps],
        }
        for country, apps in countries.items()
    ]
    body = {"partnerStatistics": {"statistics": [{"service": "S", "serviceStatistics": service}]}}

    rows = read(body, _wire.usage_statistics)

    assert expected == [(row.country, row.appid) for row in rows]


def test_the_page_s_statistics():
    """
    Orange's own sample.
    """
    (row,) = read(sample("account/statistics.json"), _wire.usage_statistics)

    assert ("yf1qyS4gv****", 2, 2) == (row.appid, row.usage, row.nb_enforcements)


def test_purchases():
    """
    Prices are exact, as many digits as Orange wrote; dates may be null.
    """
    page = read(sample("account/purchaseorders.json"), _wire.purchase_orders)
    (real,) = read(sample("account/purchaseorders_production.json"), _wire.purchase_orders)

    assert ["320.00", "1600.00"] == [str(order.price) for order in page]
    assert Decimal(725) == real.price
    assert (None, "NOCHALLENGE_OM") == (page[0].external_id, page[1].payment_mode)
    assert datetime(2021, 11, 27, 14, 42, 33, tzinfo=UTC) == real.old_expiration_date
    assert ("eed45c16268b283b315cc61134fb92", None) == (real.external_id, real.comment)
    assert (82, 182, "OrangeMoney") == (
        real.old_available_units,
        real.new_available_units,
        real.payment_mode,
    )


def test_a_first_purchase_has_no_end_before_it():
    """
    Null dates, an unknown way to pay and a price as a string are read.
    """
    order = json.loads(sample("account/purchaseorders_production.json"))[0]
    order |= {"oldExpirationDate": None, "paymentMode": "Barter", "price": "0.10"}

    (read_order,) = read([order], _wire.purchase_orders)

    assert read_order.old_expiration_date is None
    assert ("Barter", Decimal("0.10")) == (read_order.payment_mode, read_order.price)


@pytest.mark.parametrize("reader", [_wire.contracts, _wire.usage_statistics, _wire.purchase_orders])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Bad gateway</html>",
        b"\xff\xfe\x00",
        b"null",
        b"7",
        b'""',
        b"{}",
        b'"contracts"',
        b"[null]",
        b"[[]]",
        b'[{"country": "CIV"}]',
        b'{"partnerContracts": []}',
        b'{"partnerStatistics": null}',
        b"[" * 100_000,
    ],
)
def test_an_answer_that_cannot_be_read(reader, body):
    """
    Nothing was changed by asking, so asking again is safe; the error shows none of the answer.
    """
    with pytest.raises(ConnectionFailed, match="cannot be read") as caught:
        read(body, reader)

    assert (200, "request-7") == (caught.value.status_code, caught.value.request_id)


@pytest.mark.parametrize(
    "wrong",
    [
        {"availableUnits": "many"},
        {"availableUnits": None},
        {"expirationDate": "tomorrow"},
        {"expirationDate": 1673103860},
        {"country": None},
        {"offerName": ["SMS_OCB"]},
    ],
)
def test_a_field_that_is_no_such_thing(wrong):
    """
    A balance that cannot be understood is not guessed.
    """
    with pytest.raises(ConnectionFailed, match="cannot be read"):
        read([CONTRACT | wrong], _wire.contracts)
