"""Contracts, purchase orders and statistics, and the units messages cost."""

import datetime as dt

import pytest

from orange_sms_async.sandbox import Contract, Sandbox

ADMIN = "/sms/admin/v1"
ON_NET = "?resource_type_parameter_management=SMS_OCB2"


@pytest.fixture
def sandbox():
    return Sandbox(rate=None, contracts=[Contract("CIV", 3), Contract("SEN", 100)])


def reason(answer):
    return answer.status_code, answer.json()["requestError"]["policyException"]


async def test_a_contract_has_oranges_fields(client):
    """
    In the captured order, with no application.
    """
    (contract,) = (await client.get(f"{ADMIN}/contracts?country=CIV")).json()

    assert [
        "id",
        "type",
        "developerId",
        "applicationId",
        "country",
        "offerName",
        "availableUnits",
        "requestedUnits",
        "status",
        "expirationDate",
        "creationDate",
        "lastUpdateDate",
    ] == list(contract)
    assert ("CIV", "SMS_OCB", 3, "ACTIVE", None) == (
        contract["country"],
        contract["offerName"],
        contract["availableUnits"],
        contract["status"],
        contract["applicationId"],
    )
    assert contract["expirationDate"].endswith("T23:59:59.000Z")


async def test_all_countries_have_a_contract_by_default(connect):
    """
    Thirteen, and one more for Orange's own network.
    """
    sandbox = Sandbox()
    client = await connect(sandbox, transport=sandbox.transport)
    contracts = (await client.get(f"{ADMIN}/contracts")).json()

    assert 13 == len({contract["country"] for contract in contracts})
    assert {"CIV"} == {c["country"] for c in contracts if c["offerName"] == "SMS_OCB2"}


async def test_segments_are_debited(sandbox, client, send):
    """
    A text of two segments costs two units of its country's contract.
    """
    await send(client, "a" * 161)

    assert 1 == sandbox.account.contract("CIV").available_units
    assert (100, 2) == (
        sandbox.account.contract("SEN").available_units,
        sandbox.statistics().units_used,
    )


async def test_units_run_out(sandbox, client, send):
    """
    What does not fit is refused and costs nothing.
    """
    answer = await send(client, "a" * 500)

    assert 403 == answer.status_code
    assert {
        "messageId": "POL0001",
        "text": "A policy error occurred. Error code is %1",
        "variables": ["insufficient credits"],
    } == reason(answer)[1]
    assert 3 == sandbox.account.contract("CIV").available_units


async def test_an_expired_contract_keeps_its_units(sandbox, client, send):
    """
    It refuses messages, in the captured words, and still shows what is left.
    """
    sandbox.account.expire("CIV")
    answer = await send(client)
    (contract,) = (await client.get(f"{ADMIN}/contracts?country=CIV")).json()

    assert ["Expired contract"] == reason(answer)[1]["variables"]
    assert ("EXPIRED", 3) == (contract["status"], contract["availableUnits"])


async def test_the_status_flips_late():
    """
    For some seconds a contract is past its date and still active, as captured.
    """
    now = dt.datetime.now(dt.UTC)
    past = [Contract("CIV", expiration_date=now - dt.timedelta(seconds=s)) for s in (5, 40)]

    assert ["ACTIVE", "EXPIRED"] == [contract.status for contract in past]


async def test_a_purchase_adds_to_what_is_left(sandbox, client, send):
    """
    An expired contract is prolonged, its units stay, and the purchase is the newest order.
    """
    sandbox.account.expire("CIV")
    sandbox.account.buy("CIV", 100)
    orders = (await client.get(f"{ADMIN}/purchaseorders?country=CIV")).json()

    assert (3, 103) == (orders[0]["oldAvailableUnits"], orders[0]["newAvailableUnits"])
    assert orders[0]["oldExpirationDate"] < orders[0]["newExpirationDate"]
    assert 201 == (await send(client)).status_code


async def test_a_purchase_order_has_oranges_fields(client):
    """
    The first has no old date; those keys are there that current pages leave out.
    """
    orders = (await client.get(f"{ADMIN}/purchaseorders")).json()

    assert ["SEN", "CIV"] == [order["country"] for order in orders]
    assert ["externalId", "comment"] == list(orders[0])[-2:]
    assert (None, None) == (orders[0]["oldExpirationDate"], orders[0]["comment"])


async def test_purchases_differ_by_country(sandbox, client):
    """
    In what is paid with, and how.
    """
    sandbox.account.buy("JOR", 100)
    orders = (await client.get("/sms/admin/v1/purchaseorders")).json()
    paid = {order["country"]: (order["currency"], order["paymentMode"]) for order in orders}

    assert ("XOF", "OrangeMoney") == paid["CIV"]
    assert ("JOD", "Airtime") == paid["JOR"]


def test_a_purchase_never_shortens_a_contract(sandbox):
    """
    A bundle of a day, bought for a contract of a year, leaves the year.
    """
    until = sandbox.account.contract("CIV").expiration_date
    sandbox.account.buy("CIV", 100, days=1)

    assert until == sandbox.account.contract("CIV").expiration_date


async def test_a_contract_can_be_bought(sandbox, client, send):
    """
    For a country that had none.
    """
    sandbox.account.buy("MLI", 1)
    parts = {"address": "tel:+22370010203"}
    answers = [await send(client, **parts) for _ in range(2)]

    assert [201, 403] == [answer.status_code for answer in answers]


async def test_on_net_messages_have_a_contract_of_their_own(sandbox, client, send):
    """
    Without one they are refused, whatever the other contract holds.
    """
    refused = await send(client, query=ON_NET)
    sandbox.account.buy("CIV", 1, offer_name="SMS_OCB2")
    taken = await send(client, query=ON_NET)

    assert (403, 201) == (refused.status_code, taken.status_code)
    assert sandbox.sent[0].on_net
    assert 3 == sandbox.account.contract("CIV").available_units


async def test_the_usual_offer_can_be_named(sandbox, client, send):
    """
    `SMS_OCB` is a resource type, too, and no other than none.
    """
    answer = await send(client, query="?resource_type_parameter_management=SMS_OCB")

    assert 201 == answer.status_code
    assert not sandbox.sent[0].on_net


async def test_another_offer_is_no_offer(client, send):
    """
    The parameter has one value.
    """
    answer = await send(client, query="?resource_type_parameter_management=SMS_OCB3")

    assert (400, 28) == (answer.status_code, answer.json()["code"])


async def test_statistics_are_nested(sandbox, client, send):
    """
    As captured, with a row for no application; enforcements are the units debited.
    """
    await send(client, "a" * 161)
    await send(client, "a" * 161)
    (await client.get(f"{ADMIN}/statistics"))
    statistics = (await client.get(f"{ADMIN}/statistics")).json()["partnerStatistics"]

    assert sandbox.account.developer_id == statistics["developerId"]
    assert [
        {
            "service": "SMS_OCB",
            "serviceStatistics": [
                {
                    "country": "CIV",
                    "countryStatistics": [
                        {"appid": None, "usage": 0, "nbEnforcements": 0},
                        {
                            "appid": sandbox.account.application_id,
                            "usage": 4,
                            "nbEnforcements": 2,
                        },
                    ],
                }
            ],
        }
    ] == statistics["statistics"]


async def test_statistics_can_be_filtered(sandbox, client, send):
    """
    By country, and by application.
    """
    await send(client)
    path, appid = f"{ADMIN}/statistics", sandbox.account.application_id
    elsewhere = (await client.get(f"{path}?country=SEN")).json()["partnerStatistics"]
    ours = (await client.get(f"{path}?country=CIV&appid={appid}")).json()["partnerStatistics"]
    (row,) = ours["statistics"][0]["serviceStatistics"][0]["countryStatistics"]

    assert [] == elsewhere["statistics"]
    assert appid == row["appid"]


async def test_a_get_may_have_a_body(client):
    """
    Existing clients send one.
    """
    answer = await client.request("GET", f"{ADMIN}/contracts", json={"a": 1})

    assert 200 == answer.status_code


def test_a_sandbox_does_not_spend_the_contracts_it_is_given():
    """
    Two sandboxes made from one list are two accounts.
    """
    contracts = [Contract("CIV", 1)]
    Sandbox(contracts=contracts).account.charge("tel:+2250701020304", 1, on_net=False)

    assert 1 == Sandbox(contracts=contracts).account.contract("CIV").available_units
