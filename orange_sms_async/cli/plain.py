"""Plain characters for those that make a text cost more."""

import unicodedata

from orange_sms_async import count_segments
from orange_sms_async.segments import Encoding

# What word processors and keyboards put into French and English, and Unicode does not decompose.
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′´`", "'"),
        **dict.fromkeys("“”„‟″«»", '"'),
        **dict.fromkeys("‹›", "'"),
        **dict.fromkeys("‐‑‒–—―−•", "-"),
        **dict.fromkeys("\u200b\u2060\ufeff\u00ad", ""),  # invisible: they let a line break or not
        "œ": "oe",
        "Œ": "OE",
        "\t": " ",
        "\u2028": "\n",
        "\u2029": "\n",
    }
)


def plain(text: str) -> str:
    """
    Replace characters that force UCS-2 by plain ones, where there are any: ç by c, … by three dots.

    What GSM-7 has stays as it is, so é does. Other scripts and emoji stay too.
    """
    # First, as an e and an accent behind it may be é.
    return "".join(map(_plain, unicodedata.normalize("NFC", text)))


def is_foreign(text: str) -> bool:
    """Tell whether a text needs UCS-2."""
    return count_segments(text).encoding is Encoding.UCS_2


def _plain(character: str) -> str:
    if not is_foreign(character):
        return character
    decomposed = unicodedata.normalize("NFKD", character.translate(_PLAIN))
    bare = "".join(c for c in decomposed if not unicodedata.combining(c))
    return character if is_foreign(bare) else bare
