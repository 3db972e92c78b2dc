"""Where Orange sends to, from which number, and what its numbers look like."""

import re

import phonenumbers
import pytest

from orange_sms_async import Country
from orange_sms_async.countries import COUNTRIES

# ISO 3166-1 alpha-2, by which libphonenumber has its metadata.
ALPHA_2 = dict(
    zip(
        ["BWA", "BFA", "CMR", "CIV", "COD", "GNB", "GIN", "JOR", "LBR", "MDG", "MLI", "SEN", "TUN"],
        ["BW", "BF", "CM", "CI", "CD", "GW", "GN", "JO", "LR", "MG", "ML", "SN", "TN"],
        strict=True,
    )
)


@pytest.fixture(params=COUNTRIES, ids=lambda country: country.code)
def country(request):
    return request.param


@pytest.fixture
def metadata(country):
    return phonenumbers.PhoneMetadata.metadata_for_region(ALPHA_2[country.code])


def test_mobile_numbers_have_the_digits_of_libphonenumber(country, metadata):
    """
    Every length of a mobile number, and no other.
    """
    assert country.digits == tuple(metadata.mobile.possible_length)
    assert country.trunk == (metadata.national_prefix or "")


def test_a_landline_of_libphonenumber_is_known_and_no_mobile_is_one(country, metadata):
    """
    Of each prefix of five digits: a landline is let through, and a mobile is never called one.
    """
    numbers = [
        f"{prefix:05}".ljust(length, "0")
        for length in {*metadata.mobile.possible_length, *metadata.fixed_line.possible_length}
        for prefix in range(100_000)
    ]
    mobiles = [one for one in numbers if matches(metadata.mobile, one)]
    landlines = [one for one in numbers if matches(metadata.fixed_line, one)]

    assert mobiles
    assert landlines
    assert all(map(country.has_number, mobiles + landlines))
    assert not any(map(country.is_landline, mobiles))


def matches(kind, number):
    return re.fullmatch(kind.national_number_pattern, number)


# Orange's Getting started page, "List of country_sender_number by country".
TABLE = [
    ("BWA", "+26771234567", "tel:+2670000"),
    ("BFA", "+22670123456", "tel:+2260000"),
    ("CMR", "+237699123456", "tel:+2370000"),
    ("CIV", "+2250701020304", "tel:+2250000"),
    ("GIN", "+224621234567", "tel:+2240000"),
    ("GNB", "+245955123456", "tel:+2450000"),
    ("COD", "+243841234567", "tel:+2430000"),
    ("JOR", "+962791234567", "tel:+9620000"),
    ("LBR", "+231770123456", "tel:+2310000"),
    ("MLI", "+22370123456", "tel:+2230000"),
    ("MDG", "+261321234567", "tel:+2610000"),
    ("SEN", "+221771234567", "tel:+2210000"),
    ("TUN", "+21650123456", "tel:+2160000"),
]


@pytest.mark.parametrize(("code", "number", "sender"), TABLE)
def test_a_country_is_found_three_ways(code, number, sender):
    """
    Its ISO-3 code, its calling code and any number in it lead to Orange's sender number.
    """
    country = Country.from_number(number)

    assert (code, sender) == (country.code, country.sender_address)
    assert country is Country.from_code(code)
    assert country is Country.from_calling_code(number[:4])
    assert country is Country.from_calling_code(number[1:4])


@pytest.mark.parametrize(
    ("find", "wanted"),
    [
        (Country.from_number, "+33612345678"),
        (Country.from_number, "0701020304"),
        (Country.from_calling_code, "+33"),
        (Country.from_code, "FRA"),
        (Country.from_code, "CI"),
    ],
)
def test_any_other_country_is_a_key_error(find, wanted):
    """
    Orange's API sends to the thirteen only.
    """
    with pytest.raises(KeyError):
        find(wanted)
