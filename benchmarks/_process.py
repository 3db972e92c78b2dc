"""A server in a process of its own, so that it does not share the processor with the sender."""

import subprocess
import sys
from types import TracebackType
from typing import Self

_END = 10.0  # seconds the process may take to end


class Process:
    """
    A program that listens while the block lasts: its first line says where.

    Attributes:
        address: its first line.
        output: the rest of its output, once it has ended. It ends when its stdin does.
    """

    address: str
    output: str

    def __init__(self, program: str, *options: str) -> None:
        self._command = (sys.executable, program, *options)

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, text=True)
        self.address = self._read()
        if not self.address:
            self._process.wait(_END)
            raise RuntimeError("the server did not start; its error is above")
        return self

    def ask(self) -> str:
        """Write an empty line; return the one that answers it."""
        print(file=self._process.stdin, flush=True)
        return self._read()

    def _read(self) -> str:
        return self._process.stdout.readline().strip() if self._process.stdout else ""

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.output, _ = self._process.communicate(timeout=_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
