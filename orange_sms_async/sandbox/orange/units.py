"""
How many SMS, and so units, a text costs.

Orange does not document it; this is the practice of 3GPP TS 23.038 and 23.040.
"""

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("\f^{}\\[~]|€")
_GSM = _BASIC | _EXTENSION


def encoding(text: str) -> str:
    """Return the encoding of a text: GSM-7 if it has all the characters, else UCS-2."""
    return "GSM-7" if _GSM.issuperset(text) else "UCS-2"


def count(text: str) -> int:
    """Count the SMS of a text: 160 or 70 units of its encoding each, fewer in parts."""
    if _GSM.issuperset(text):
        return _pack([2 if character in _EXTENSION else 1 for character in text], 160, 153)
    return _pack([2 if character > "\uffff" else 1 for character in text], 70, 67)


def _pack(costs: list[int], alone: int, in_part: int) -> int:
    if sum(costs) <= alone:
        return 1
    parts, room = 1, in_part
    for cost in costs:
        if cost > room:  # an escaped character and a surrogate pair are never cut in two
            parts, room = parts + 1, in_part
        room -= cost
    return parts
