"""The thirteen countries Orange's API sends to, with their senders and forms of numbers."""

import re

import attrs


@attrs.frozen
class Country:
    """
    A row of the table "country_sender_number" on Orange's Getting started page.

    Attributes:
        name: English name.
        code: ISO 3166-1 alpha-3, such as "CIV".
        calling_code: the digits after the +, such as "225".
        digits: how many digits its mobile numbers have after the calling code.
        landlines: a regular expression for its landline numbers, without the calling code. An SMS
            to one is paid for and seldom read.
        zones: names of its time zones. If it has two, a number does not tell which one applies.
        trunk: what people dial before a number within the country, "0" or nothing. It is not
            written after the calling code.
    """

    name: str
    code: str
    calling_code: str
    digits: tuple[int, ...]
    landlines: str = attrs.field(repr=False)
    zones: tuple[str, ...]
    trunk: str = ""

    @property
    def sender_address(self) -> str:
        """The address that Orange recommends sending from, such as "tel:+2250000"."""
        return f"tel:+{self.calling_code}0000"

    def has_number(self, national: str) -> bool:
        """
        Tell whether a number can exist in the country, by its number of digits.

        Args:
            national: the digits after the calling code.
        """
        return len(national) in self.digits or self.is_landline(national)

    def is_landline(self, national: str) -> bool:
        """
        Tell whether a number is a landline.

        Args:
            national: the digits after the calling code.
        """
        return re.fullmatch(self.landlines, national) is not None

    @classmethod
    def from_code(cls, code: str) -> "Country":
        """
        Find a country by its code.

        Args:
            code: ISO 3166-1 alpha-3 in capitals, such as "CIV".

        Raises:
            KeyError: Orange's API does not send there.
        """
        return _BY_CODE[code]

    @classmethod
    def from_calling_code(cls, calling_code: str) -> "Country":
        """
        Find a country by its calling code.

        Args:
            calling_code: with or without +, such as "225".

        Raises:
            KeyError: Orange's API does not send there.
        """
        return _BY_CALLING_CODE[calling_code.removeprefix("+")]

    @classmethod
    def from_number(cls, number: str) -> "Country":
        """
        Find the country of a phone number by its first three digits: +225… is CIV.

        Args:
            number: in international form. What follows the calling code is not checked.

        Raises:
            KeyError: Orange's API does not send there.
        """
        return _BY_CALLING_CODE[number.removeprefix("+")[:3]]  # all thirteen codes have 3 digits


# Digits, landlines and trunk come from the metadata of Google's libphonenumber; a test compares
# them. In doubt, a number is let through.
COUNTRIES = (
    Country("Botswana", "BWA", "267", (8,), r"[2-6]\d{6}", ("Africa/Gaborone",)),
    Country("Burkina Faso", "BFA", "226", (8,), r"2[0-5]\d{6}", ("Africa/Ouagadougou",)),
    Country("Cameroon", "CMR", "237", (9,), r"2(?:22|33)\d{6}", ("Africa/Douala",)),
    Country("Côte d'Ivoire", "CIV", "225", (10,), r"2[157]\d{8}", ("Africa/Abidjan",)),
    Country(
        "DR Congo",
        "COD",
        "243",
        (7, 9),
        r"[1-6]\d{6}|(?:(?:12|573)\d\d|276)\d{5}",
        ("Africa/Kinshasa", "Africa/Lubumbashi"),
        "0",
    ),
    Country("Guinea Bissau", "GNB", "245", (9,), r"443\d{6}", ("Africa/Bissau",)),
    Country("Guinea Conakry", "GIN", "224", (9,), r"3[01]\d{6}", ("Africa/Conakry",)),
    Country("Jordan", "JOR", "962", (9,), r"(?:[2356]\d|87)\d{6}", ("Asia/Amman",), "0"),
    Country("Liberia", "LBR", "231", (7, 9), r"2\d{7}", ("Africa/Monrovia",), "0"),
    Country("Madagascar", "MDG", "261", (9,), r"20\d{7}", ("Indian/Antananarivo",), "0"),
    Country(
        "Mali",
        "MLI",
        "223",
        (8,),
        r"(?:202|207[0-8]|212[67]|21[4-689]|4[04]\d)\d{4,5}",
        ("Africa/Bamako",),
    ),
    Country("Senegal", "SEN", "221", (9,), r"3[0-689]\d{7}", ("Africa/Dakar",)),
    Country("Tunisia", "TUN", "216", (8,), r"7\d{7}", ("Africa/Tunis",)),
)

_BY_CODE = {country.code: country for country in COUNTRIES}
_BY_CALLING_CODE = {country.calling_code: country for country in COUNTRIES}
