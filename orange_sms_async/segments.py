"""How many SMS a text costs, and which characters make it cost more."""

import enum
import re
from collections.abc import Iterable

import attrs

# 3GPP TS 23.038, 6.2.1: the default alphabet, without the escape at 0x1B...
_GSM_7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
# ...and 6.2.1.1: its extension table, each character an escape and a second septet.
_GSM_7_EXTENSION = frozenset("\f^{}\\[~]|€")
# Most texts contain only these, and then their length gives the count. That must be fast: a queue
# with listeners counts each message.
_PLAIN = re.compile(f"[{re.escape(''.join(sorted(_GSM_7)))}]*")


class Encoding(enum.StrEnum):
    """How a text is sent: seven bits a character if its alphabet allows it, otherwise sixteen."""

    GSM_7 = "GSM-7"
    """160 characters in a single SMS, 153 in each of several."""
    UCS_2 = "UCS-2"
    """70 characters in a single SMS, 67 in each of several. An emoji counts as two."""


# 3GPP TS 23.040: 140 bytes a message, 6 of them for the header that joins several.
_ALONE = {Encoding.GSM_7: 160, Encoding.UCS_2: 70}
_ONE_PLAIN = _ALONE[Encoding.GSM_7]
_JOINED = {Encoding.GSM_7: 153, Encoding.UCS_2: 67}


@attrs.frozen
class SegmentCount:
    """
    What a text costs.

    Orange does not document how it counts units. This follows 3GPP, as networks do.

    Attributes:
        encoding: how the text is sent. A single character can force UCS-2 on the whole text.
        segments: how many SMS the text takes.
        room: how many more plain characters fit into the last one.
        costly: the characters that made the text cost more, each once: those that force UCS-2, or
            those that count twice in GSM-7.
    """

    encoding: Encoding
    segments: int
    room: int
    costly: str


def count_segments(text: str) -> SegmentCount:
    """
    Count the SMS that a text takes, by 3GPP TS 23.038 and 23.040.

    Args:
        text: of any length. An empty text takes one SMS.
    """
    if _PLAIN.fullmatch(text):
        return _plain(len(text))
    foreign = _unique(c for c in text if c not in _GSM_7 and c not in _GSM_7_EXTENSION)
    if foreign:
        # Handsets read UCS-2 as UTF-16, where an emoji takes two units.
        widths = [2 if c > "\uffff" else 1 for c in text]
        return _count(Encoding.UCS_2, widths, foreign)
    widths = [2 if c in _GSM_7_EXTENSION else 1 for c in text]
    return _count(Encoding.GSM_7, widths, _unique(c for c in text if c in _GSM_7_EXTENSION))


def segments_of(text: str) -> int:
    """Count only the segments, in half the time: a queue with listeners counts each message."""
    if len(text) <= _ONE_PLAIN and _PLAIN.fullmatch(text):
        return 1
    return count_segments(text).segments


def _plain(length: int) -> SegmentCount:
    size = _ALONE[Encoding.GSM_7]
    segments = 1
    if length > size:
        size = _JOINED[Encoding.GSM_7]
        segments = -(-length // size)
    return SegmentCount(Encoding.GSM_7, segments, segments * size - length, "")


def _unique(characters: Iterable[str]) -> str:
    return "".join(dict.fromkeys(characters))


def _count(encoding: Encoding, widths: list[int], costly: str) -> SegmentCount:
    size = _ALONE[encoding]
    segments, used = 1, sum(widths)
    if used > size:
        size = _JOINED[encoding]
        segments, used = _fill(widths, size)
    return SegmentCount(encoding, segments, size - used, costly)


def _fill(widths: list[int], size: int) -> tuple[int, int]:
    # An escape and its septet, or the two halves of an emoji, are never split: the segment before
    # them stays one short.
    segments, used = 1, 0
    for width in widths:
        if used + width > size:
            segments, used = segments + 1, 0
        used += width
    return segments, used
