"""A message that breaks a rule cannot exist."""

import attrs
import pytest

from orange_sms_async import InvalidMessage, OutboundMessage
from orange_sms_async.messages import mask

TO = "+2250701020304"


def test_the_sender_follows_from_the_recipient():
    """
    +225 is Côte d'Ivoire, whose messages leave from tel:+2250000.
    """
    message = OutboundMessage(TO, "Bonjour")

    assert "tel:+2250000" == message.sender_address
    assert (None, False) == (message.sender_name, message.on_net)


def test_a_sender_of_ones_own_is_kept():
    """
    Orange's table only recommends, and a country outside it needs one.
    """
    assert "tel:+2251111" == OutboundMessage(TO, "a", sender_address="tel:+2251111").sender_address
    assert OutboundMessage("+33612345678", "a", sender_address="tel:+330000")


def test_a_reference_is_made_up():
    """
    Two messages never share one, unless the user gives it.
    """
    first, second = OutboundMessage(TO, "a"), OutboundMessage(TO, "a")

    assert first.reference != second.reference
    assert "order-7" == OutboundMessage(TO, "a", reference="order-7").reference


@pytest.mark.parametrize("to", ["+1234567", "+336070102030405"])
def test_the_shortest_and_the_longest_number(to):
    """
    E.164 allows 15 digits; fewer than 7 are no phone.
    """
    assert OutboundMessage(to, "a", sender_address="tel:+2250000").to == to


@pytest.mark.parametrize("name", ["a", "SMS 123456", "MonService1"])
def test_sender_names_that_orange_may_approve(name):
    """
    One to eleven letters, digits or spaces.
    """
    assert name == OutboundMessage(TO, "a", sender_name=name).sender_name


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("to", "2250705060708", r"write it as \+2250701020304: a \+ first, no spaces"),
        ("to", "tel:+2250705060708", "E.164"),
        ("to", "+225 07 05 06 07 08", r"a \+ first, no spaces"),
        ("to", "07.05.06.07.08", r"a \+ first, no spaces"),
        ("to", "+0250705060708", r"a \+ first, no spaces"),
        ("to", "+22177", "7 to 15 digits"),
        ("to", "+2250705060708055", "7 to 15 digits"),
        ("to", "+2250705060708\n", "E.164"),
        ("to", "+٢٢٥٠٧٠٥٠٦٠٧٠٨", "E.164"),
        ("to", 2250705060708, "E.164"),
        ("to", "+225705060708", "Côte d'Ivoire has ten digits since 2021, and this one has 9"),
        ("to", "+22505060708", "Côte d'Ivoire has ten digits since 2021, and this one has 8"),
        ("to", "+22177123456", "Senegal has nine digits, and this one has 8 after"),
        ("to", "+23177123456", "Liberia has seven or nine digits, and this one has 8"),
        ("to", "+243081234567890", "DR Congo has seven or nine digits, and this one has 12"),
        ("to", None, "E.164"),
        ("to", "+33612345678", "13 countries"),
        ("text", "", "empty"),
        ("text", None, "empty"),
        ("text", b"secret words", "empty"),
        ("text", "secret words \ud83d", "half a character"),
        ("sender_name", "", "1 to 11 letters"),
        ("sender_name", "twelve chars", "1 to 11 letters"),
        ("sender_name", "Café", "without accents"),
        ("sender_name", "My-App", "letters"),
        ("sender_name", "MyApp\n", "letters"),
        ("sender_name", 12345, "letters"),
        ("sender_address", "+2251111", "tel:\\+"),
        ("sender_address", "MonService", "tel:\\+"),
        ("sender_address", "tel:+99", "3 to 15 digits"),
        ("sender_address", "tel:+2250701020304055", "3 to 15 digits"),
        ("sender_address", 7654321, "tel:\\+"),
        ("reference", "", "empty"),
        ("reference", 7654321, "empty"),
    ],
)
def test_a_broken_rule_is_named_and_the_value_is_not_shown(field, value, rule):
    """
    The error is a ValueError too; it says which field and which rule.
    """
    with pytest.raises(InvalidMessage, match=f"^{field}: .*{rule}") as caught:
        OutboundMessage(**{"to": TO, "text": "a", field: value})

    assert isinstance(caught.value, ValueError)
    if value:
        assert str(value) not in repr(caught.value)


def test_a_changed_copy_is_checked_too():
    """
    A message cannot be changed, and a copy of it obeys the same rules.
    """
    message = OutboundMessage(TO, "a")

    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        message.text = ""  # type: ignore[misc]
    with pytest.raises(InvalidMessage):
        attrs.evolve(message, text="")


def test_a_copy_for_another_country_is_sent_from_there():
    """
    The sender address follows from the recipient until somebody gives one.
    """
    message = OutboundMessage("+2250701020304", "Bonjour")

    assert "tel:+2210000" == attrs.evolve(message, to="+221771234567").sender_address
    with pytest.raises(InvalidMessage, match="13 countries"):
        attrs.evolve(message, to="+33612345678")


@pytest.mark.parametrize("number", ["0701", "+22507", ""])
def test_what_is_too_short_for_a_number_is_masked_whole(number):
    """
    A number typed half shows none of its half.
    """
    assert "******" == mask(number)
