"""Numbers as people and spreadsheets write them."""

import pytest

from orange_sms_async import Country, InvalidMessage, OutboundMessage
from orange_sms_async.cli.numbers import check_not_rounded, international


@pytest.mark.parametrize(
    "written",
    [
        "07 01 02 03 04",
        "07.01.02.03.04",
        "07-01-02-03-04",
        "07\u00a001\u202f02 03 04",
        "0701020304",
        "2250701020304",
        "225 07 01 02 03 04",
        "00225 0701020304",
        "+225 (07) 01 02 03 04",
        "+2250701020304",
    ],
)
def test_a_number_of_cote_d_ivoire(written):
    """
    However it is written, it is the same.
    """
    assert "+2250701020304" == international(written, Country.from_code("CIV"))


@pytest.mark.parametrize(
    ("written", "code", "read"),
    [
        ("034 12 345 67", "MDG", "+261341234567"),
        ("0812345678", "COD", "+243812345678"),
        ("77 123 45 67", "SEN", "+221771234567"),
        ("70 12 34 56", "BFA", "+22670123456"),
        ("+221 77 123 45 67", "CIV", "+221771234567"),
        ("00221771234567", "CIV", "+221771234567"),
        ("Awa", "CIV", "Awa"),
        ("", "CIV", ""),
    ],
)
def test_a_number_of_elsewhere(written, code, read):
    """
    Where a 0 is dialled before it, it goes; a calling code of another country stays.
    """
    assert read == international(written, Country.from_code(code))


def test_a_zero_that_excel_took_away_is_said():
    """
    It is not put back: nobody is written to whose number was guessed.
    """
    with pytest.raises(InvalidMessage, match="Excel has removed the leading 0"):
        international("701020304", Country.from_code("CIV"))


@pytest.mark.parametrize("written", ["2.25070E+12", "2,25E+12", "2.25070e12"])
def test_a_number_that_excel_rounded_is_said(written):
    with pytest.raises(InvalidMessage, match="Excel has rounded this number: format the column"):
        check_not_rounded(written)


def test_a_digit_too_few_is_counted_in_the_country():
    """
    What cannot be is refused with the rule of that country.
    """
    with pytest.raises(InvalidMessage, match="ten digits since 2021, and this one has 8"):
        OutboundMessage(international("07 01 02 03", Country.from_code("CIV")), "a")
