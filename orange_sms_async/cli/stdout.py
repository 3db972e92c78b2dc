"""Stdout that cannot be written any more: its reader has gone, or the disk is full."""

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

import typer

from orange_sms_async.cli.exits import stop_with


class _Stream:
    """A stream that tells of its first failure, and from then on leads nowhere."""

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
    """Go on without stdout and stderr: what is sent is sent, and is to be kept and told."""
    with (
        contextlib.redirect_stderr(_Stream(sys.stderr, bool)),
        contextlib.redirect_stdout(_Stream(sys.stdout, _warn)),
    ):
        yield


@contextlib.contextmanager
def ends() -> Iterator[None]:
    """End the command where stdout does: with 2, and for a reader that has gone as click does."""
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
    typer.echo(f"Warning: stdout: {error.strerror}. The command goes on without it.", err=True)


def _stop(error: OSError) -> None:
    if error.errno == errno.EPIPE:
        raise error
    stop_with(f"stdout: {error.strerror}")
