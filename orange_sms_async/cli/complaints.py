"""Usage errors in one line: what is wrong, where, and how to fix it."""

import re
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from orange_sms_async.cli.exits import ExitCode
from orange_sms_async.cli.words import (
    LANGUAGES,
    echo,
    help_in_french,
    language_of_environment,
    said,
    speaking,
    speaks_french,
)

# Typer does not name it; in some versions it is click's own, in others a copy.
_UsageError: Any = typer.BadParameter.__base__

# What the versions of Typer say, and what we say instead.
_PLAINER = (
    (r"Value error, ", ""),
    (r"Input should be a valid integer.*", "a whole number"),
    (r"'.*' is not a valid (int|integer)( range)?$", "a whole number"),
    (r"Input should be a valid number.*", "a number"),
    (r"'.*' is not a valid float$", "a number"),
    (r"(^|: )F(?=ile '.*' (does|is) )", r"\1f"),
    (r"Input should be greater than or equal to (\S+)", r"\1 or more"),
    (r"Input should be less than or equal to (\S+)", r"\1 or less"),
    (r"'?[^' ]+'? is not in the range (\d+)<=x\.$", r"\1 or more"),
    (r"Invalid value for '?([^':]+)'?: ", "\\1\0"),
    (r"Invalid value: ", ""),
    (
        r"Got unexpected extra argument.*",
        "Too many arguments: put quotes around an argument with spaces",
    ),
    (r"'.*' is not one of (.*)", r"one of \1"),
)


class OneLine(TyperGroup):
    """A group of commands whose usage errors take one line, not three."""

    def main(self, *args: Any, **settings: Any) -> Any:
        """Run a command in the language asked for; end with its exit code."""
        asked = args[0] if args else settings.pop("args", None)
        given = [*(sys.argv[1:] if asked is None else asked)]
        settings["standalone_mode"] = False
        wanted = _language(given)
        with speaking(wanted if wanted in LANGUAGES else language_of_environment()):
            if wanted not in LANGUAGES:
                _complain_of("orange-sms", _placed("--lang", "en or fr"))
                sys.exit(ExitCode.USAGE)
            if speaks_french():
                help_in_french(self)
            sys.exit(self._ended(given, settings))

    def _ended(self, given: list[str], settings: dict[str, Any]) -> int:
        try:
            code = super().main(given, **settings)
        except _UsageError as error:
            return _complain(error, _called(self, given))
        except typer.Abort:
            return ExitCode.INTERRUPTED
        return code if isinstance(code, int) else ExitCode.ALL_ACCEPTED


def _language(given: list[str]) -> str:
    """Take `--lang` out of a command line, wherever it stands before a `--`."""
    end = given.index("--") if "--" in given else len(given)
    asked = [at for at, word in enumerate(given[:end]) if word.partition("=")[0] == "--lang"]
    if not asked:
        return language_of_environment()
    at = asked[0]
    words = 1 if "=" in given[at] else 2
    language = given[at].partition("=")[2] if words == 1 else "".join(given[at + 1 : at + 2])
    del given[at : at + words]
    return language


def _placed(where: str, rule: str) -> str:
    return f"{where}{said(': ')}{said(rule)}" if where else said(rule)


def _called(group: Any, given: list[str]) -> str:
    """Name the command that a command line calls, as far as it is one."""
    path, commands = ["orange-sms"], group.commands
    for word in given:
        if word in commands:
            path.append(word)
            commands = getattr(commands[word], "commands", {})
    return " ".join(path)


def _complain(error: Any, called: str) -> int:
    if error.ctx and error.format_message() == error.ctx.get_help():  # no command was given
        error.show()
        return ExitCode.USAGE
    command = error.ctx.command_path if error.ctx else called
    where, _, rule = plainer(error.format_message()).rpartition("\0")
    _complain_of(command, _placed(where, rule))
    return ExitCode.USAGE


def _complain_of(command: str, line: str) -> None:
    stop = "" if line.endswith(("?", "…")) else "."
    echo(f"Error: {line}{stop} See `{command} --help`", err=True)


def plainer(message: str) -> str:
    """Put typer's message into plain words; the argument's name, if any, comes before a NUL."""
    line = " ".join(message.split())
    for theirs, ours in _PLAINER:
        line = re.sub(theirs, ours, line)
    return line.rstrip(".")
