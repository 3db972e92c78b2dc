"""What commands say, in the reader's language: English, or the French of fr.json."""

import contextlib
import json
import locale
import os
import re
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import attrs
import typer

LANGUAGES = ("en", "fr")
_VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")  # in gettext's order
_HOLE = re.compile(r"\{(\w+)\}")
_NUMBER = re.compile(r"\d{1,3}(,\d{3})+")
_AMOUNT = re.compile(r"-?\d{1,3}(,?\d{3})*(\.\d+)?( [A-Z]{3})?")


@attrs.define
class _Spoken:
    language: str = "en"


_spoken = _Spoken()


def language_of_environment() -> str:
    """Return the language of the locale: "fr", or "en" for any other."""
    named = next(filter(None, map(os.environ.get, _VARIABLES)), None)
    # Windows sets none of these variables.
    found = (named if named is not None else locale.getlocale()[0]) or ""
    return "fr" if found.lower().startswith("fr") else "en"


def speaks_french() -> bool:
    return _spoken.language == "fr"


@contextlib.contextmanager
def speaking(language: str) -> Iterator[None]:
    """Use this language for everything within a block."""
    before, _spoken.language = _spoken.language, language
    try:
        yield
    finally:
        _spoken.language = before


def echo(line: str = "", *, err: bool = False) -> None:
    """Write a line, as `typer.echo` does, in the reader's language."""
    typer.echo(said(line), err=err)


def said(line: str) -> str:
    """
    Put a line into the reader's language.

    The complete line is looked up, because parts of it may come from the library, which has only
    English, like everything that programs read. A line without a translation stays as it is.
    """
    return in_french(line) if speaks_french() else line


def many(count: int, things: str) -> str:
    """Count things in English: "1 row", "2,000 rows". The French of both is in fr.json."""
    return f"1 {things.removesuffix('s')}" if count == 1 else f"{count:,} {things}"


# Removed first, or a sentence that begins with a file's name would count them as part of the name.
_BEGINNINGS = {"Error: ": "Erreur\u00a0: ", "Warning: ": "Attention\u00a0: "}


def in_french(line: str) -> str:
    """Look a line up in fr.json."""
    for begins, translated in _BEGINNINGS.items():
        if line.startswith(begins):
            return translated + in_french(line.removeprefix(begins))
    exact, sentences = _catalogue()
    if (found := exact.get(line)) is not None:
        return found
    for sentence in sentences:
        if filled := sentence.fill(line):
            return filled
    return line


@attrs.frozen
class _Sentence:
    """
    A sentence with holes in it, in English and in French.

    The content of `{why}` and `{many}` is translated too, and so is each part of a `{list}`. The
    content of any other hole stays, except for the commas of numbers.
    """

    english: re.Pattern[str]
    french: str

    @classmethod
    def of(cls, english: str, french: str) -> "_Sentence":
        parts = _HOLE.split(english)
        pattern = "".join(
            f"(?P<{part}>.+?)" if number % 2 else re.escape(part)
            for number, part in enumerate(parts)
        )
        return cls(re.compile(pattern, re.DOTALL), french)

    def fill(self, line: str) -> str:
        found = self.english.fullmatch(line)
        if found is None:
            return ""
        held = found.groupdict()
        return _HOLE.sub(lambda hole: _held(hole[1], held[hole[1]]), self.french)


def number(cell: str) -> str:
    """Write a number or a price in the reader's language; anything else stays as it is."""
    if not (speaks_french() and _AMOUNT.fullmatch(cell)):
        return cell
    return cell.replace(",", "\u202f").replace(".", ",").replace(" ", "\u00a0")


def _grouped(text: str) -> str:
    return text.replace(",", "\u202f") if _NUMBER.fullmatch(text) else text


def _held(name: str, text: str) -> str:
    if name.startswith(("why", "many")):
        return in_french(text)
    if name.startswith("list"):
        return ", ".join(map(in_french, text.split(", ")))
    return _grouped(text)


@cache
def french() -> dict[str, dict[str, str]]:
    """Return fr.json: `help` by command or option, `said` by English sentence."""
    read: dict[str, dict[str, str]] = json.loads(
        Path(__file__).with_name("fr.json").read_text(encoding="utf-8")
    )
    return read


@cache
def _catalogue() -> tuple[dict[str, str], list[_Sentence]]:
    kept = french()["said"]
    # The sentence with the most words of its own comes first: a shorter one may fit too.
    by_words = sorted(kept.items(), key=lambda one: -len(_HOLE.sub("", one[0])))
    sentences = [_Sentence.of(*one) for one in by_words if _HOLE.search(one[0])]
    return kept, sentences


_TITLES = re.compile(r"^(Usage|Options|Arguments|Commands):", re.MULTILINE)
_IN_FRENCH = {
    "Usage:": "Utilisation\u00a0:",
    "Options:": "Options\u00a0:",
    "Arguments:": "Arguments\u00a0:",
    "Commands:": "Commandes\u00a0:",
}
# "[env var: X; default: 5; required]"; a line may break anywhere between two words.
_FACTS = re.compile(r"\[(?:env\s+var:|default:|required\b)[^]]*\]")
_FACTS_IN_FRENCH = {
    r"\benv\s+var:": "variable\u00a0:",
    r"\bdefault:": "par défaut\u00a0:",
    r"\brequired\]": "obligatoire]",
    ";": "\u202f;",
}


def help_in_french(command: Any, path: str = "") -> None:
    """Put the help of a command, its options and its subcommands into French."""
    texts = french()["help"]
    command.help = texts.get(path, command.help)
    for parameter in command.params:
        if getattr(parameter, "help", None):
            name = help_key(parameter)
            own = texts.get(f"{path} {name}") or texts.get(name)
            parameter.help = own or parameter.help
    command.get_help = partial(_titled, command.get_help)
    for name, inner in getattr(command, "commands", {}).items():
        help_in_french(inner, f"{path} {name}".strip())


def help_key(parameter: Any) -> str:
    """Name an option by its long form, an argument in capitals."""
    longest: str = max(parameter.opts, key=len)
    return longest if longest.startswith("--") else longest.upper()


def _titled(shown: Callable[[Any], str], context: Any) -> str:
    text = _TITLES.sub(lambda found: _IN_FRENCH[found[0]], shown(context))
    text = _FACTS.sub(lambda found: _facts(found[0]), text)
    return text.replace("Show this message and exit.", french()["help"]["--help"])


def _facts(bracketed: str) -> str:
    for english, translated in _FACTS_IN_FRENCH.items():
        bracketed = re.sub(english, translated, bracketed)
    return bracketed
