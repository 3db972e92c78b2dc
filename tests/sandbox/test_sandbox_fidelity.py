"""Where Orange is unclear, or was different once, the sandbox has a switch."""

import math

import pytest

from orange_sms_async.sandbox import Sandbox


@pytest.fixture
def answered(connect, send):
    """Send with a sandbox of these settings."""

    async def answered(settings, **message):
        sandbox = Sandbox(**settings)
        return await send(await connect(sandbox, transport=sandbox.transport), **message)

    return answered


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({}, ("SVC0002", ["senderName"])),
        ({"sender_name_error": "SVC0001"}, ("SVC0001", ["POL2204"])),
    ],
)
async def test_a_sender_name_that_is_not_approved(answered, settings, error):
    """
    Orange's page says "400 requestError" and no more.
    """
    answer = await answered(settings, senderName="No")
    exception = answer.json()["requestError"]["serviceException"]

    assert 400 == answer.status_code
    assert error == (exception["messageId"], exception["variables"])


@pytest.mark.parametrize(
    ("raw_sender", "segment", "status"),
    [
        (True, "tel:+2250000", 201),
        (False, "tel:+2250000", 400),
        (False, "tel%3A+2250000", 400),
        (False, "tel%3A%2B2250000", 201),
    ],
)
async def test_a_raw_sender_address(answered, raw_sender, segment, status):
    """
    Documented is the encoded one; the raw one was seen to work.
    """
    answer = await answered({"raw_sender": raw_sender}, segment=segment)

    assert status == answer.status_code


@pytest.mark.parametrize(("longest_message", "status"), [(1024, 201), (1023, 400)])
async def test_the_longest_message(answered, longest_message, status):
    """
    The error is documented, and its limit is not.
    """
    answer = await answered({"longest_message": longest_message}, text="a" * 1024)

    assert status == answer.status_code


@pytest.mark.parametrize(("subscriptions", "status"), [(True, 201), (False, 404)])
async def test_subscriptions(connect, subscriptions, status):
    """
    Current pages do not mention them.
    """
    sandbox = Sandbox(subscriptions=subscriptions)
    client = await connect(sandbox, transport=sandbox.transport)
    reference = {"callbackReference": {"notifyURL": "https://example.org/dr"}}
    answer = await client.post(
        "/smsmessaging/v1/outbound/tel%3A%2B2250000/subscriptions",
        json={"deliveryReceiptSubscription": reference},
    )

    assert status == answer.status_code


async def test_the_account_of_2021(connect):
    """
    Contracts wrapped by offer, purchases with what was executed: as old clients read them.
    """
    sandbox = Sandbox(account_shape="2021")
    sandbox.account.buy("CIV", 100)
    client = await connect(sandbox, transport=sandbox.transport)
    contracts = (await client.get("/sms/admin/v1/contracts?country=CIV")).json()
    orders = (await client.get("/sms/admin/v1/purchaseorders?country=CIV")).json()
    offers = contracts["partnerContracts"]["contracts"]
    execution = orders["purchaseOrders"][0]["orderExecutioninformation"]

    assert ["SMS_OCB", "SMS_OCB2"] == [offer["service"] for offer in offers]
    assert [("CIV", 10_000_100)] == [
        (contract["country"], contract["availableUnits"])
        for contract in offers[0]["serviceContracts"]
    ]
    assert ("CIV", "SMS_OCB", 725) == tuple(
        execution[key] for key in ("country", "service", "amount")
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"sender_name_error": "POL0001"},
        {"account_shape": "2019"},
        {"expires_in": "maybe"},
        {"keep": 0},
    ],
)
def test_settings_are_checked(wrong):
    """
    A choice that is none is said at once.
    """
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Sandbox(**wrong)


SECONDS = ["token_lifetime", "receipt_delay", "latency", "jitter", "token_latency"]


@pytest.mark.parametrize("name", SECONDS)
@pytest.mark.parametrize("endless", [math.inf, math.nan, 10**400], ids=["inf", "nan", "int"])
def test_seconds_are_finite(name, endless):
    """
    The setting is refused where it is made, and not each request that meets it.
    """
    with pytest.raises(ValueError, match=f"{name} must be a finite number of seconds, 0 or more"):
        Sandbox(**{name: endless})


def test_seconds_stay_finite(sandbox):
    """
    Those that can be changed keep their last good value.
    """
    with pytest.raises(ValueError, match="latency must be a finite"):
        sandbox.latency = math.inf

    assert 0 == sandbox.latency


async def test_faults_by_name(sandbox, client, send):
    """
    Those that the page knows, and no others.
    """
    sandbox.fail_next("POL0001 Expired contract", times=2)
    statuses = [(await send(client)).status_code for _ in range(3)]
    with pytest.raises(KeyError):
        sandbox.fail_next("sunshine")
    with pytest.raises(KeyError):
        sandbox.fail_sometimes(0.1, "sunshine")
    with pytest.raises(ValueError, match="share"):
        sandbox.fail_sometimes(1.1, "drop")

    assert [403, 403, 201] == statuses


async def test_faults_sometimes(sandbox, client, send):
    """
    Of the kind that is said.
    """
    sandbox.fail_sometimes(1, "500/1", on="account")
    answers = [await send(client), await client.get("/sms/admin/v1/contracts")]
    sandbox.fail_sometimes(0, "500/1")

    assert [201, 500] == [answer.status_code for answer in answers]
    assert 200 == (await client.get("/sms/admin/v1/contracts")).status_code
