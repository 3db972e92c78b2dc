"""Phone numbers as people and spreadsheets write them, in international form."""

import re

from orange_sms_async import Country, InvalidMessage

_SEPARATORS = re.compile(r"[\s().\-/\u2010-\u2015]")
_ROUNDED = re.compile(r"[0-9]([.,][0-9]+)?E\+?[0-9]+", re.IGNORECASE)
_DIGITS = re.compile(r"(\+|00)?([0-9]+)")


def check_not_rounded(written: str) -> None:
    """
    Refuse a long number that a spreadsheet has rounded in a narrow column.

    Raises:
        InvalidMessage: digits are lost; the message says what to do.
    """
    if _ROUNDED.fullmatch(written):
        raise InvalidMessage(
            "to: Excel has rounded this number: format the column as Text and paste it again"
        )


def international(written: str, country: Country) -> str:
    """
    Read a number as people in a country write it, or any number with its + or 00.

    Args:
        written: "07 01 02 03 04", "07.01.02.03.04", "2250701020304", "00225…" or "+225…".
        country: of a number without a calling code.

    Returns:
        The number in international form; anything else is returned unchanged.

    Raises:
        InvalidMessage: Excel has removed the leading 0.
    """
    read = _DIGITS.fullmatch(_SEPARATORS.sub("", written))
    if read is None:
        return written
    prefix, digits = read.groups()
    return f"+{digits}" if prefix else _of_country(digits, country)


def _of_country(digits: str, country: Country) -> str:
    called = f"+{country.calling_code}"
    if country.has_number(digits):
        return called + digits
    national = digits.removeprefix(country.calling_code)
    if national != digits and country.has_number(national):
        return called + national
    if country.trunk and digits.startswith(country.trunk):
        return called + digits.removeprefix(country.trunk)
    if country.code == "CIV" and len(digits) == 9 and digits[0] in "157":
        raise InvalidMessage(
            "to: Excel has removed the leading 0: give the column the format 0000000000, "
            "and save the file again"
        )
    return called + digits
