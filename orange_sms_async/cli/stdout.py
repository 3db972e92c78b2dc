"""Stdout: tables on it, as wide as it is, and what a command does when it cannot be written."""

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO

import typer
from rich.console import Console
from rich.table import Table

from orange_sms_async.cli.exits import ExitCode, stop_with
from orange_sms_async.cli.words import echo, number, said

_WIDEST = 10_000  # columns: in a pipe nothing is folded


class _Screen(Console):
    """A screen that says lines in the language of the reader."""

    def print(self, *objects: Any, **settings: Any) -> None:
        super().print(*(said(one) if isinstance(one, str) else one for one in objects), **settings)


def console() -> Console:
    """Make the screen that all commands write to: folded between words, but not in a pipe."""
    screen = _Screen(highlight=False, markup=False)
    screen.soft_wrap = not screen.is_terminal
    return screen


class _Table(Table):
    """A table that writes numbers in the language of the reader."""

    def add_row(self, *cells: Any, **settings: Any) -> None:
        super().add_row(
            *(number(one) if isinstance(one, str) else one for one in cells), **settings
        )


def table(*columns: str, numbers: Sequence[str] = (), whole: Sequence[str] = ()) -> Table:
    """
    Make a table without lines, which fold badly and are no good in a pipe.

    Args:
        columns: their names.
        numbers: the columns that are aligned to the right.
        whole: those that are not folded besides these.
    """
    made = _Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(
            said(column),
            justify="right" if column in numbers else "left",
            overflow="fold",
            no_wrap=column in numbers or column in whole,
        )
    return made


def show(made: Table) -> None:
    """Print a table, as wide as the terminal allows; in a pipe as wide as it is."""
    screen = console()
    if not screen.is_terminal:
        screen.width = _WIDEST
    screen.print(made, soft_wrap=False)


class _Stream:
    """A stream that tells of its first failure, and from then on leads nowhere."""

    buffer = None  # or click writes to it, past this, where the encoding is ASCII

    def __init__(self, stream: TextIO, failed: Callable[[OSError], object]) -> None:
        self._stream = stream
        self._failed = failed

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._lead_nowhere(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._lead_nowhere(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _lead_nowhere(self, error: OSError) -> None:
        # What is still in its buffer would fail again when Python ends.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        self._failed(error)


@contextlib.contextmanager
def goes_on() -> Iterator[None]:
    """Go on without stdout and stderr, for a command whose work or verdict counts without them."""
    with (
        contextlib.redirect_stderr(_Stream(sys.stderr, bool)),
        contextlib.redirect_stdout(_Stream(sys.stdout, _warn)),
    ):
        yield


@contextlib.contextmanager
def ends() -> Iterator[None]:
    """End a command that only shows where stdout does: with 2, or 0 if its reader has gone."""
    failed: list[OSError] = []

    def end(error: OSError) -> None:
        failed.append(error)
        raise error

    try:
        with contextlib.redirect_stdout(_Stream(sys.stdout, end)):
            yield
            sys.stdout.flush()
    finally:
        # Not where it is caught: click writes nothing to try a stream, and does not mind.
        if failed:
            _stop(failed[0])


def _warn(error: OSError) -> None:
    echo(f"Warning: stdout: {error.strerror}. The command goes on without it.", err=True)


def _stop(error: OSError) -> None:
    if error.errno == errno.EPIPE:
        raise typer.Exit(ExitCode.ALL_ACCEPTED)
    stop_with(f"stdout: {error.strerror}")
