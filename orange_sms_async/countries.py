"""The thirteen countries Orange's API sends to, and the sender number of each."""

import attrs


@attrs.frozen
class Country:
    """
    A row of the table "country_sender_number" on Orange's Getting started page.

    Attributes:
        name: English name.
        code: ISO 3166-1 alpha-3, such as "CIV".
        calling_code: the digits after the +, such as "225".
    """

    name: str
    code: str
    calling_code: str

    @property
    def sender_address(self) -> str:
        """The address Orange recommends to send from, such as "tel:+2250000"."""
        return f"tel:+{self.calling_code}0000"

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
            number: in international form; what follows the calling code is not looked at.

        Raises:
            KeyError: Orange's API does not send there.
        """
        return _BY_CALLING_CODE[number.removeprefix("+")[:3]]  # all thirteen codes have 3 digits


COUNTRIES = (
    Country("Botswana", "BWA", "267"),
    Country("Burkina Faso", "BFA", "226"),
    Country("Cameroon", "CMR", "237"),
    Country("Côte d'Ivoire", "CIV", "225"),
    Country("DR Congo", "COD", "243"),
    Country("Guinea Bissau", "GNB", "245"),
    Country("Guinea Conakry", "GIN", "224"),
    Country("Jordan", "JOR", "962"),
    Country("Liberia", "LBR", "231"),
    Country("Madagascar", "MDG", "261"),
    Country("Mali", "MLI", "223"),
    Country("Senegal", "SEN", "221"),
    Country("Tunisia", "TUN", "216"),
)

_BY_CODE = {country.code: country for country in COUNTRIES}
_BY_CALLING_CODE = {country.calling_code: country for country in COUNTRIES}
