"""By choice the sandbox refuses what Orange does and most need not care for."""

import pytest

from orange_sms_async.sandbox import Sandbox
from orange_sms_async.sandbox.orange.gateway import ALL_APIS_RATE

WRONG = [
    ("sender_names", {"senderName": "My+App"}, "ENCODED_SENDER_NAME"),
    ("sender_addresses", {"senderAddress": "tel:+2250701020304"}, "FOREIGN_SENDER_ADDRESS"),
    ("sender_addresses", {"senderAddress": "tel:+2210000"}, "FOREIGN_SENDER_ADDRESS"),
    ("sender_addresses", {"senderAddress": "tel:+22500001234"}, "FOREIGN_SENDER_ADDRESS"),
    ("ivorian_numbers", {"address": "tel:+22507010203"}, "IVORIAN_DIGITS"),
    ("ivorian_numbers", {"address": "tel:+225701020304"}, "IVORIAN_DIGITS"),
]


@pytest.fixture
def answered(connect, send):
    """Send to a sandbox as strict as this, and give the status and the rule that was broken."""

    async def answered(strict, **parts):
        sandbox = Sandbox(strict=strict, sender_names=["My App"])
        client = await connect(sandbox, transport=sandbox.transport)
        sender = parts.get("senderAddress", "tel:+2250000").replace(":+", "%3A%2B")
        answer = await send(client, segment=sender, **parts)
        wrong = sandbox.requests[-1].wrong
        return answer.status_code, wrong and wrong.name

    return answered


@pytest.mark.parametrize(("rule", "parts", "wrong"), WRONG)
async def test_a_rule_is_kept_by_choice(answered, rule, parts, wrong):
    """
    Alone or with all the others; and not where it was not asked for.
    """
    others = {name for name, _, _ in WRONG} - {rule}

    assert (400, wrong) == await answered({rule}, **parts)
    assert (400, wrong) == await answered(True, **parts)
    assert (201, None) == await answered(others, **parts)
    assert (201, None) == await answered(False, **parts)


@pytest.mark.parametrize(
    "parts",
    [
        {"senderName": "My App"},
        {"address": "tel:+2252721020304"},
        {"address": "tel:+221771234567", "senderAddress": "tel:+2210000"},
    ],
)
async def test_what_is_right_is_taken_however_strict(answered, parts):
    """
    A name with a space, a landline, another country.
    """
    assert (201, None) == await answered(True, **parts)


@pytest.mark.parametrize(
    ("strict", "to", "said"),
    [
        (True, "tel:+2250501020304", "DeliveryImpossible"),
        (True, "tel:+2250101020304", "DeliveryImpossible"),
        (True, "tel:+2250701020304", "DeliveredToTerminal"),
        (False, "tel:+2250501020304", "DeliveredToTerminal"),
    ],
)
async def test_an_on_net_message_stays_on_the_net(connect, send, strict, to, said):
    """
    One to another operator's number is taken, and never arrives.
    """
    sandbox = Sandbox(strict=strict)
    client = await connect(sandbox, transport=sandbox.transport)
    query = "?resource_type_parameter_management=SMS_OCB2"
    answer = await send(client, address=to, query=query)

    assert 201 == answer.status_code
    assert said == sandbox.sent[0].status


async def test_all_requests_together_are_counted(connect):
    """
    25 in a second, the token among them; the 26th is one too many.
    """
    sandbox = Sandbox(strict={"request_rate"})
    client = await connect(sandbox, transport=sandbox.transport)
    answers = [await client.get("/sms/admin/v1/contracts") for _ in range(int(ALL_APIS_RATE))]

    assert [*[200] * 24, 403] == [answer.status_code for answer in answers]
    assert 53 == answers[-1].json()["code"]


def test_an_unknown_rule_is_said():
    """
    A mistyped one would have no effect.
    """
    with pytest.raises(ValueError, match="strict"):
        Sandbox(strict={"sendernames"})  # type: ignore[arg-type]
