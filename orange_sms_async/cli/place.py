"""Where an outbox is, as a command line or ORANGE_SMS_OUTBOX says: a file or a database."""

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
_ONE = "default"  # the account, if none is named

DurableOutbox: TypeAlias = SqliteOutbox | PostgresOutbox
Account = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="In a database: the account. Each has its own messages, turn and rate."
    ),
]


@attrs.frozen
class Place:
    """
    Where an outbox is; as a string, it shows no secret of a DSN.

    Attributes:
        where: a file, or an account in a database.
    """

    where: Path | Address

    @classmethod
    def read(cls, given: str) -> "Place":
        """
        Read a place from the command line.

        Raises:
            typer.BadParameter: it names no file and no database.
        """
        if is_dsn(given):
            return cls(Address(given, _ONE))
        if given in ("", ":memory:"):
            raise typer.BadParameter("name a file: an outbox is kept on disk")
        if "://" in given:
            raise typer.BadParameter("must be a file, or begin with postgresql://")
        return cls(Path(given))

    def of(self, account: str) -> "Place":
        """
        Select an account.

        Raises:
            typer.BadParameter: it is a file, which has only one account.
        """
        if isinstance(self.where, Address):
            return Place(Address(self.where.dsn, account))
        if account != _ONE:
            raise typer.BadParameter("needs postgresql://…", param_hint="--account")
        return self

    def __str__(self) -> str:
        if isinstance(self.where, Path):
            return str(self.where)
        account = "" if self.where.account == _ONE else f" --account {self.where.account}"
        return f"{self.where.shown}{account}"

    def outbox(self) -> DurableOutbox:
        """Make the outbox, not yet open."""
        if isinstance(self.where, Path):
            return SqliteOutbox(self.where)
        return PostgresOutbox(self.where.dsn, account=self.where.account)

    @property
    def file(self) -> Path | None:
        """The file; None for a database."""
        return self.where if isinstance(self.where, Path) else None

    def file_alone(self) -> Path:
        """
        Return the file, for a command that works on files only.

        Raises:
            typer.BadParameter: it is a database.
        """
        if self.file is None:
            raise typer.BadParameter(
                "needs a file; a database has its own tools for that", param_hint="SMS.db"
            )
        return self.file

    @property
    def is_there(self) -> bool:
        """Whether there is anything to look into, as far as can be told before opening it."""
        return self.file is None or self.file.exists()

    def check_exists(self) -> None:
        """End with a one-line error if a file is missing or empty: opening would create one."""
        if self.file:
            check_file(self.file)


OutboxPlace = Annotated[
    Place,
    typer.Argument(
        parser=Place.read,
        metavar="SMS.db",
        help=f"The file, or postgresql://user@host/database. Default: {VARIABLE}.",
    ),
]


class OfOutbox(TyperCommand):
    """A command whose first argument, the outbox, may be left out."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert the outbox of the environment if the command line lacks one argument."""
        if (place := os.environ.get(VARIABLE)) and self._lacks_one(ctx, args):
            args = [place, *args]
        return super().parse_args(ctx, args)

    def _lacks_one(self, ctx: Any, args: list[str]) -> bool:
        # An `envvar` of the argument would help only the last one: the first is filled first.
        *_, last = (one.name for one in self.params if one.param_type_name == "argument")
        given, _, _ = self.make_parser(ctx).parse_args([*args])
        return not isinstance(given.get(last), str)


async def enter(stack: contextlib.AsyncExitStack, queue: SendQueue) -> None:
    """Open a queue, or end with a one-line error if its rate is not the account's."""
    try:
        await stack.enter_async_context(queue)
    except ValueError as error:
        stop_with(f"--{error}")


def check_file(path: Path, what: str = "outbox") -> None:
    """End with a one-line error if a file is missing or empty."""
    try:
        empty = path.is_file() and not path.stat().st_size
        path.lstat()
    except OSError as error:
        stop_with(f"{what} {path}: {error.strerror}")
    if empty:
        stop_with(f"{what} {path}: empty")
