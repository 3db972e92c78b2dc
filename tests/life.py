"""A process under torture: it is heard, asked to end, stopped and killed."""

import contextlib
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence


class Life:
    """
    One process, from its start to its end.

    Args:
        command: starts it.
        env: what it finds around it.
        heard: told each whole line that it says, in a thread.
    """

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], heard: Callable[[str], None]
    ) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
        )
        self._listener = threading.Thread(target=self._listen, args=(heard,))
        self._listener.start()

    def _listen(self, heard: Callable[[str], None]) -> None:
        with self._process.stdout or contextlib.nullcontext(()) as lines:
            for line in lines:
                if line.endswith(b"\n"):  # the last one may be cut
                    heard(line.decode())

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    @property
    def number(self) -> int:
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def say(self, word: bytes = b"") -> None:
        """Ask it to submit nothing more, or to end."""
        with contextlib.suppress(BrokenPipeError):
            if self._process.stdin and word:
                self._process.stdin.write(word)
                self._process.stdin.flush()
            elif self._process.stdin:
                self._process.stdin.close()

    def end(self, seconds: float) -> int:
        """Give it so long to end by itself; return its exit code."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self._process.kill()
        self._listener.join()
        self.say()
        return self._process.wait()
