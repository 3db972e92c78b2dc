"""The text of a campaign, with a column of the CSV file in each pair of braces."""

import string
import unicodedata
from collections.abc import Iterable, Mapping

import attrs

from orange_sms_async import InvalidMessage


@attrs.frozen
class Template:
    """
    A text such as "Bonjour {prenom}".

    Attributes:
        columns: the columns it names, in lower case and in order.
    """

    _parts: tuple[tuple[str, str | None], ...] = attrs.field(repr=False)
    columns: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> "Template":
        """
        Read a text; `{{` and `}}` stand for braces.

        Raises:
            ValueError: a brace stands alone, or braces hold more than a column's name.
        """
        parts = []
        for before, field, form, conversion in string.Formatter().parse(text):
            if field is not None and (not field.strip() or form or conversion):
                raise ValueError("only the name of a column goes between braces")
            parts.append((before, None if field is None else field.strip().lower()))
        return cls(tuple(parts), tuple(dict.fromkeys(name for _, name in parts if name)))

    def of_file(self, names: Iterable[str]) -> "Template":
        """Name the columns as a file does: "{prenom}" finds "prénom", and the reverse."""
        written = {_bare(name): name for name in names} | {name: name for name in names}
        found = {name: written.get(name, written.get(_bare(name), name)) for name in self.columns}
        parts = tuple((before, name and found[name]) for before, name in self._parts)
        return Template(parts, tuple(dict.fromkeys(found.values())))

    def fill(self, cells: Mapping[str, str]) -> str:
        """
        Put the cells of a row into the text.

        Raises:
            InvalidMessage: one of them is empty, which would leave a gap in the text.
        """
        if empty := [name for name in self.columns if not cells[name].strip()]:
            raise InvalidMessage(f'text: the column "{empty[0]}" is empty in this row')
        return "".join(
            before + (cells[name].strip() if name else "") for before, name in self._parts
        )


def _bare(name: str) -> str:
    apart = unicodedata.normalize("NFD", name)
    return "".join(mark for mark in apart if not unicodedata.combining(mark))
