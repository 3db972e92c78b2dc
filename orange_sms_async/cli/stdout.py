"""Stdout: tables as wide as it is, and what happens when it cannot be written."""

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
    """A screen that shows lines in the reader's language."""

    def print(self, *objects: Any, **settings: Any) -> None:
        super().print(*(said(one) if isinstance(one, str) else one for one in objects), **settings)


def console() -> Console:
    """Make the screen that all commands write to: it folds between words, but not in a pipe."""
    screen = _Screen(highlight=False, markup=False)
    screen.soft_wrap = not screen.is_terminal
    return screen


class _Table(Table):
    """A table that writes numbers in the reader's language."""

    def add_row(self, *cells: Any, **settings: Any) -> None:
        super().add_row(
            *(number(one) if isinstance(one, str) else one for one in cells), **settings
        )


def table(*columns: str, numbers: Sequence[str] = (), whole: Sequence[str] = ()) -> Table:
    """
    Make a table without lines, which fold badly and are useless in a pipe.

    Args:
        columns: the names.
        numbers: the columns to align to the right; they are not folded.
        whole: other columns not to fold.
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
    """Print a table as wide as the terminal; in a pipe, as wide as it needs."""
    screen = console()
    if not screen.is_terminal:
        screen.width = _WIDEST
    screen.print(made, soft_wrap=False)


class _Stream:
    """A stream that reports its first failure, and from then on discards everything."""

    buffer = None  # else click would bypass this stream if the encoding is ASCII

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
        # Else the rest of its buffer would fail again when Python exits.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        self._failed(error)


@contextlib.contextmanager
def goes_on() -> Iterator[None]:
    """Continue without stdout and stderr, for a command whose work or verdict matters anyway."""
    with (
        contextlib.redirect_stderr(_Stream(sys.stderr, bool)),
        contextlib.redirect_stdout(_Stream(sys.stdout, _warn)),
    ):
        yield


@contextlib.contextmanager
def ends() -> Iterator[None]:
    """End a command that only shows when stdout fails: with 2, or 0 if the reader has gone."""
    failed: list[OSError] = []

    def end(error: OSError) -> None:
        failed.append(error)
        raise error

    try:
        with contextlib.redirect_stdout(_Stream(sys.stdout, end)):
            yield
            sys.stdout.flush()
    finally:
        # Not in `end`: click probes a stream by writing nothing, and swallows the error.
        if failed:
            _stop(failed[0])


def _warn(error: OSError) -> None:
    echo(f"Warning: stdout: {error.strerror}. The command continues without it.", err=True)


def _stop(error: OSError) -> None:
    if error.errno == errno.EPIPE:
        raise typer.Exit(ExitCode.ALL_ACCEPTED)
    stop_with(f"stdout: {error.strerror}")
