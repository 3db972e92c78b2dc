"""The end of a command that met an error: one line, and with --debug what is behind it."""

import contextlib
from collections.abc import Iterator
from types import TracebackType
from typing import Annotated, NoReturn

import typer

from orange_sms_async import OrangeSMSError
from orange_sms_async.cli.advice import advice, exit_code
from orange_sms_async.cli.exits import ExitCode, stop_with

Debug = Annotated[
    bool,
    typer.Option("--debug", help="After an error, show what is behind it: no number, no secret."),
]


@contextlib.contextmanager
def errors_end(*, debug: bool) -> Iterator[None]:
    """End the command with one line where Orange or the line to it fails; so with Ctrl-C."""
    try:
        yield
    except OrangeSMSError as error:
        end_with(error, debug=debug)
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def end_with(error: OrangeSMSError, *, debug: bool) -> NoReturn:
    if debug:
        show_behind(error)
    stop_with(advice(error), exit_code(error))


def show_behind(error: BaseException | None) -> None:
    """Show an error and those behind it, the first cause last, on stderr."""
    while error:
        typer.echo(f"  {_name(error)}{_words(error)}{_place(error.__traceback__)}", err=True)
        # Also one that `from None` hides: it was hidden for its words, which are not shown here.
        error = error.__cause__ or error.__context__


def _name(error: BaseException) -> str:
    class_ = type(error)
    ours = isinstance(error, OrangeSMSError) or class_.__module__ == "builtins"
    return class_.__name__ if ours else f"{class_.__module__.partition('.')[0]}.{class_.__name__}"


def _words(error: BaseException) -> str:
    """Ours hold nothing personal, nor do the system's; a library's may hold what it was given."""
    if isinstance(error, OrangeSMSError):
        asked = f", X-OAPI-Request-Id {error.request_id}" if error.request_id else ""
        return f": {error}{asked}"
    if isinstance(error, OSError) and isinstance(error.strerror, str):
        return f": {error.strerror}"
    return ""


def _place(traceback: TracebackType | None) -> str:
    if traceback is None:
        return ""
    while traceback.tb_next:
        traceback = traceback.tb_next
    return f" ({traceback.tb_frame.f_globals.get('__name__')}, line {traceback.tb_lineno})"
