"""`orange-sms segments`: the cost of a text, and its cost in plain characters."""

import itertools
import unicodedata
from collections import Counter

from rich.text import Text as Styled

from orange_sms_async import count_segments
from orange_sms_async.cli.options import Text, read
from orange_sms_async.cli.stdout import console, show, table
from orange_sms_async.cli.words import many
from orange_sms_async.segments import Encoding, SegmentCount

_MOST_CHARACTERS = 10
# Characters that word processors and keyboards insert, and Unicode does not decompose.
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′´`", "'"),
        **dict.fromkeys("“”„‟″«»", '"'),
        **dict.fromkeys("‹›", "'"),
        **dict.fromkeys("‐‑‒–—―−•", "-"),
        **dict.fromkeys("\u200b\u2060\ufeff\u00ad", ""),  # invisible: where a line may break
        "œ": "oe",
        "Œ": "OE",
        "\t": " ",
        "\u2028": "\n",
        "\u2029": "\n",
    }
)


def segments(text: Text) -> None:
    """
    Show how many SMS a text takes, which characters make it longer, and what plain ones save.

    Each SMS is counted as one unit, by the 3GPP rules; Orange does not document its count. Costly
    characters are shown between > and <. A single character outside the GSM-7 alphabet makes the
    whole text UCS-2, with 70 characters per SMS instead of 160. In GSM-7, the euro sign, brackets,
    braces, ^, ~, | and the backslash count double.

    Nothing is sent, and no account is needed. Exit codes: 0, or 2 for an empty text.
    """
    text = read(text)
    counted = count_segments(text)
    room = many(counted.room, "more plain characters")
    console().print(f"{_said(counted)}, with room for {room}")
    if not counted.costly:
        return
    console().print(_marked(text, counted.costly), soft_wrap=True)
    _show_costly(text, counted)
    if counted.encoding is Encoding.UCS_2:
        _show_plain(text, counted)


def _said(counted: SegmentCount) -> str:
    return f"{counted.segments} SMS in {counted.encoding}"


def _marked(text: str, costly: str) -> Styled:
    """Mark costly characters with > and <, which any terminal can show."""
    marked = Styled()
    for is_costly, run in itertools.groupby(text, key=costly.__contains__):
        part = "".join(run)
        marked.append(f">{part}<" if is_costly else part, "bold red" if is_costly else "")
    return marked


def _show_costly(text: str, counted: SegmentCount) -> None:
    why = "needs UCS-2" if counted.encoding is Encoding.UCS_2 else "counts double"
    times = Counter(text)
    made = table("character", why, "times", "plain", numbers=("times",))
    for character in counted.costly[:_MOST_CHARACTERS]:
        name = f"U+{ord(character):04X} {unicodedata.name(character, '').lower()}".strip()
        legible = character if character.isprintable() else ""
        made.add_row(legible, name, str(times[character]), _instead(character))
    show(made)
    if len(counted.costly) > _MOST_CHARACTERS:
        console().print(f"... and {len(counted.costly) - _MOST_CHARACTERS} more")


def _instead(character: str) -> str:
    replaced = in_plain_characters(character)
    return "" if replaced == character else repr(replaced)


def _show_plain(text: str, counted: SegmentCount) -> None:
    replaced = in_plain_characters(text)
    cost = count_segments(replaced)
    if needs_ucs2(replaced):
        console().print(f"No plain replacement for: {cost.costly[:_MOST_CHARACTERS]}")
    saved = counted.segments - cost.segments
    if saved > 0:
        console().print(f"With plain characters, {_said(cost)}, {saved} fewer:")
        console().print(replaced, soft_wrap=True)  # in one piece, to be copied
    elif saved == 0 and replaced != text:
        console().print(
            f"With plain characters, {_said(cost)} too, with room for {cost.room} more."
        )


def in_plain_characters(text: str) -> str:
    """
    Replace characters that force UCS-2 by plain ones, if there are any: ç by c, … by three dots.

    Characters of GSM-7, such as é, stay. So do other scripts and emoji.
    """
    # Composed first: an e and a separate accent may be é.
    return "".join(map(_plain, unicodedata.normalize("NFC", text)))


def needs_ucs2(text: str) -> bool:
    """Tell whether a text needs UCS-2."""
    return count_segments(text).encoding is Encoding.UCS_2


def _plain(character: str) -> str:
    if not needs_ucs2(character):
        return character
    decomposed = unicodedata.normalize("NFKD", character.translate(_PLAIN))
    bare = "".join(c for c in decomposed if not unicodedata.combining(c))
    return character if needs_ucs2(bare) else bare
