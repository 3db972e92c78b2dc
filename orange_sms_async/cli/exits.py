"""How a command ends: its exit codes, and one line on stderr that says what to do."""

import enum
from typing import NoReturn

import typer


class ExitCode(enum.IntEnum):
    """What a command says to the shell that started it."""

    ALL_ACCEPTED = 0
    SOME_FAILED = 1
    USAGE = 2
    NO_ACCESS = 3
    UNREACHABLE = 4
    SOME_UNKNOWN = 5
    INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def stop_with(line: str, code: ExitCode = ExitCode.USAGE) -> NoReturn:
    typer.echo(f"Error: {line}", err=True)
    raise typer.Exit(code)
