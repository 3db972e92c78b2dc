"""The file of an outbox on a command line: its argument, or ORANGE_SMS_OUTBOX in its place."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from orange_sms_async.cli.exits import stop_with

VARIABLE = "ORANGE_SMS_OUTBOX"


def outbox_file(given: str) -> Path:
    """
    Read the name of a file.

    Raises:
        typer.BadParameter: it names none. A DSN is not shown, as it may hold a password.
    """
    if given.partition("://")[0] in ("postgres", "postgresql"):
        raise typer.BadParameter("a file; of PostgreSQL, only `outbox migrate` and `move` know")
    if given in ("", ":memory:"):
        raise typer.BadParameter("an outbox is kept on disk, so it must name a file")
    return Path(given)


OutboxFile = Annotated[
    Path,
    typer.Argument(
        parser=outbox_file,
        metavar="SMS.db",
        help=f"The file; without it, the one that {VARIABLE} names.",
    ),
]


class OfOutbox(TyperCommand):
    """A command whose first argument is the file of an outbox, or left out."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the file of the environment where the command line has one argument too few."""
        if (file := os.environ.get(VARIABLE)) and self._lacks_one(ctx, args):
            args = [file, *args]
        return super().parse_args(ctx, args)

    def _lacks_one(self, ctx: Any, args: list[str]) -> bool:
        # An `envvar` of the argument would do for the last one only: the first is filled first.
        *_, last = (one.name for one in self.params if one.param_type_name == "argument")
        given, _, _ = self.make_parser(ctx).parse_args([*args])
        return not isinstance(given.get(last), str)


def check_file(path: Path, what: str = "outbox") -> None:
    """End with one line if a file is missing or empty: opening it would make one."""
    try:
        empty = path.is_file() and not path.stat().st_size
        path.lstat()
    except OSError as error:
        stop_with(f"{what} {path}: {error.strerror}")
    if empty:
        stop_with(f"{what} {path}: empty")
