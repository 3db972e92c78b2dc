"""Where an outbox is, on a command line or in ORANGE_SMS_OUTBOX: a file, or a database."""

import contextlib
import os
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import attrs
import typer
from typer.core import TyperCommand

from orange_sms_async import PostgresOutbox, SendQueue, SqliteOutbox
from orange_sms_async.cli.exits import stop_with
from orange_sms_async.outbox.postgres.address import Address, is_dsn

VARIABLE = "ORANGE_SMS_OUTBOX"
_ONE = "default"  # the account that is meant where none is named

DurableOutbox: TypeAlias = SqliteOutbox | PostgresOutbox
Account = Annotated[
    str,
    typer.Option(metavar="NAME", help="Of a database: whose messages. Each has a turn and a rate."),
]


@attrs.frozen
class Place:
    """
    Where an outbox is; as a string, without what a DSN may hold of secrets.

    Attributes:
        where: a file, or an account in a database.
    """

    where: Path | Address

    @classmethod
    def read(cls, given: str) -> "Place":
        """
        Read what somebody typed.

        Raises:
            typer.BadParameter: it names no place.
        """
        if is_dsn(given):
            return cls(Address(given, _ONE))
        if given in ("", ":memory:"):
            raise typer.BadParameter("an outbox is kept on disk, so it must name a file")
        return cls(Path(given))

    def of(self, account: str) -> "Place":
        """
        Name whose messages are meant.

        Raises:
            typer.BadParameter: it is a file, which has one account.
        """
        if isinstance(self.where, Address):
            return Place(Address(self.where.dsn, account))
        if account != _ONE:
            raise typer.BadParameter("goes with postgresql://…", param_hint="--account")
        return self

    def __str__(self) -> str:
        if isinstance(self.where, Path):
            return str(self.where)
        account = "" if self.where.account == _ONE else f" --account {self.where.account}"
        return f"{self.where.shown}{account}"

    def outbox(self) -> DurableOutbox:
        """Make what opens it."""
        if isinstance(self.where, Path):
            return SqliteOutbox(self.where)
        return PostgresOutbox(self.where.dsn, account=self.where.account)

    @property
    def file(self) -> Path | None:
        """The file; None of a database."""
        return self.where if isinstance(self.where, Path) else None

    def file_alone(self) -> Path:
        """
        Return the file, for what only a file can have done to it.

        Raises:
            typer.BadParameter: it is a database.
        """
        if self.file is None:
            raise typer.BadParameter("a file; a database has tools of its own for that")
        return self.file

    @property
    def is_there(self) -> bool:
        """Whether there is anything to look into, as far as that can be told before opening it."""
        return self.file is None or self.file.exists()

    def check_exists(self) -> None:
        """End with one line if a file is missing or empty: opening it would make one."""
        if self.file:
            check_file(self.file)


OutboxPlace = Annotated[
    Place,
    typer.Argument(
        parser=Place.read,
        metavar="SMS.db",
        help=f"The file, or postgresql://user@host/database; without it, what {VARIABLE} names.",
    ),
]


class OfOutbox(TyperCommand):
    """A command whose first argument is the place of an outbox, or left out."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the place of the environment where the command line has one argument too few."""
        if (place := os.environ.get(VARIABLE)) and self._lacks_one(ctx, args):
            args = [place, *args]
        return super().parse_args(ctx, args)

    def _lacks_one(self, ctx: Any, args: list[str]) -> bool:
        # An `envvar` of the argument would do for the last one only: the first is filled first.
        *_, last = (one.name for one in self.params if one.param_type_name == "argument")
        given, _, _ = self.make_parser(ctx).parse_args([*args])
        return not isinstance(given.get(last), str)


async def enter(stack: contextlib.AsyncExitStack, queue: SendQueue) -> None:
    """Open a queue, or end with one line if its rate is not that of the account in the outbox."""
    try:
        await stack.enter_async_context(queue)
    except ValueError as error:
        stop_with(f"--{error}")


def check_file(path: Path, what: str = "outbox") -> None:
    """End with one line if a file is missing or empty."""
    try:
        empty = path.is_file() and not path.stat().st_size
        path.lstat()
    except OSError as error:
        stop_with(f"{what} {path}: {error.strerror}")
    if empty:
        stop_with(f"{what} {path}: empty")
