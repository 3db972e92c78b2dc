"""`orange-sms segments`: what a text costs, and what it would cost in plain characters."""

import itertools
import unicodedata
from collections import Counter

from rich.text import Text as Styled

from orange_sms_async import count_segments
from orange_sms_async.cli.plain import is_foreign, plain
from orange_sms_async.cli.progress import console
from orange_sms_async.cli.tables import show, table
from orange_sms_async.cli.text import Text, read
from orange_sms_async.segments import Encoding, SegmentCount

_MOST_CHARACTERS = 10


def segments(text: Text) -> None:
    """
    Show how many SMS a text costs, which characters make it cost more, and what plain ones save.

    Each SMS is one unit, as 3GPP counts; Orange does not say how it does. Costly characters stand
    between > and <: one that is not in the GSM-7 alphabet makes the whole text travel in UCS-2,
    70 characters an SMS instead of 160. In GSM-7 the sign of the euro, brackets, braces, ^, ~, |
    and the backslash count double.

    Nothing is sent, and no account is needed. It ends with 0, or with 2 for an empty text.
    """
    text = read(text)
    counted = count_segments(text)
    console().print(f"{_said(counted)}, room for {counted.room} plain characters more")
    if not counted.costly:
        return
    console().print(_marked(text, counted.costly), soft_wrap=True)
    _show_costly(text, counted)
    if counted.encoding is Encoding.UCS_2:
        _show_plain(text, counted)


def _said(counted: SegmentCount) -> str:
    return f"{counted.segments} SMS in {counted.encoding}"


def _marked(text: str, costly: str) -> Styled:
    """Put what is costly between > and <, which any terminal can show."""
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
        shown = character if character.isprintable() else ""
        made.add_row(shown, name, str(times[character]), _instead(character))
    show(made)
    if len(counted.costly) > _MOST_CHARACTERS:
        console().print(f"... and {len(counted.costly) - _MOST_CHARACTERS} others")


def _instead(character: str) -> str:
    replaced = plain(character)
    return "" if replaced == character else repr(replaced)


def _show_plain(text: str, counted: SegmentCount) -> None:
    replaced = plain(text)
    cost = count_segments(replaced)
    if is_foreign(replaced):
        console().print(f"Without a plain replacement: {cost.costly[:_MOST_CHARACTERS]}")
    saved = counted.segments - cost.segments
    if saved > 0:
        console().print(f"In plain characters {_said(cost)}, {saved} fewer:")
        console().print(replaced, soft_wrap=True)  # in one piece, to be copied
    elif saved == 0 and replaced != text:
        console().print(f"In plain characters {_said(cost)} too, with room for {cost.room} more.")
