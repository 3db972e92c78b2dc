"""What commands say, in the language of the one who reads it: English, or the French of fr.json."""

import json
import locale
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import typer

LANGUAGES = ("en", "fr")
_VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")  # in gettext's order
_HOLE = re.compile(r"\{(\w+)\}")
_NUMBER = re.compile(r"\d{1,3}(,\d{3})+")


@attrs.define
class _Spoken:
    language: str = "en"


_spoken = _Spoken()


def language_of_environment() -> str:
    """Tell the language of the locale: "fr", or "en" for every other."""
    named = next(filter(None, map(os.environ.get, _VARIABLES)), None)
    # Windows has none of these variables.
    found = (named if named is not None else locale.getlocale()[0]) or ""
    return "fr" if found.lower().startswith("fr") else "en"


def speaks_french() -> bool:
    return _spoken.language == "fr"


def speak(language: str) -> None:
    """Say everything in this language from now on."""
    _spoken.language = language


def echo(line: str = "", *, err: bool = False) -> None:
    """Write a line, as `typer.echo` does, in the language of the reader."""
    typer.echo(said(line), err=err)


def said(line: str) -> str:
    """
    Say a line in the language of the reader.

    It is looked up once it is whole: what it says may come from the library, which speaks English
    alone, as everything does that programs read. What has no French stays as it is.
    """
    return in_french(line) if speaks_french() else line


def in_french(line: str) -> str:
    """Look a line up in fr.json."""
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

    What stands in `{why}` is said in French as well, and so is each part of a list in `{list}`;
    what stands in any other hole stays, but for the commas of numbers.
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


def _held(name: str, text: str) -> str:
    if name.startswith("why"):
        return in_french(text)
    if name.startswith("list"):
        return ", ".join(map(in_french, text.split(", ")))
    return text.replace(",", "\u202f") if _NUMBER.fullmatch(text) else text


@cache
def _catalogue() -> tuple[dict[str, str], list[_Sentence]]:
    kept: dict[str, str] = json.loads(
        Path(__file__).with_name("fr.json").read_text(encoding="utf-8")
    )
    # The one with most words of its own first: others may be a part of it.
    by_words = sorted(kept.items(), key=lambda one: -len(_HOLE.sub("", one[0])))
    sentences = [_Sentence.of(*one) for one in by_words if _HOLE.search(one[0])]
    return kept, sentences


def help_in_french(command: Any) -> None:
    """Put the help of a command, its options and the commands in it into French."""
    command.help = _paragraphs(command.help)
    for parameter in command.params:
        if getattr(parameter, "help", None):
            parameter.help = in_french(" ".join(parameter.help.split()))
    for inner in getattr(command, "commands", {}).values():
        help_in_french(inner)


def _paragraphs(text: str | None) -> str:
    paragraphs = [" ".join(one.split()) for one in (text or "").strip().split("\n\n")]
    return "\n\n".join(map(in_french, paragraphs))
