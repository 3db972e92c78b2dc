"""A terminal in which a page's commands are typed, and what they print is compared."""

import fnmatch
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import attrs
from cli.served import environment

BIN = Path(sys.executable).parent
TYPED_HERE = ("orange-sms", "python")
SERVERS = ("sandbox", "receipts")  # commands of orange-sms that end with Ctrl-C
_PORT = re.compile(r"(--port|--receipts) (\d+)")
_ADDRESS = re.compile(r"127\.0\.0\.1:\d+")


@attrs.frozen
class Typed:
    """A line after a `$`, and what the page shows below it."""

    line: str
    shown: list[str]

    @property
    def words(self):
        return shlex.split(self.line.replace(".venv/bin/", ""), comments=True)


def typed(code):
    lines = []
    for line in code.splitlines():
        if line.startswith("$ "):
            lines.append(Typed(line[2:], []))
        elif line.strip():
            lines[-1].shown.append(line)
    return lines


@attrs.define
class Terminal:
    """Types lines in a folder; `port` is where receipts are taken, whatever a page says."""

    folder: Path
    settings: dict[str, str]
    port: int
    code: int = 0

    def type(self, line):
        words = line.words
        if line.line.split("  ")[0] == "echo $?":
            assert line.shown == [str(self.code)], line
            self.code = 0
            return
        assert self.code == 0, f"ended with {self.code}, before: {line.line}"
        assert words[0] in TYPED_HERE, line
        if self._serves(words):
            self._compare(line, self._served(words, len(line.shown)))
        else:
            self._compare(line, self._run(words))

    def _serves(self, words):
        return words[0] == "orange-sms" and words[1] in SERVERS and "--help" not in words

    def _argv(self, words):
        moved = _PORT.sub(rf"\1 {self.port}", shlex.join(words))
        return [BIN / words[0], *shlex.split(moved)[1:]]

    def _run(self, words):
        done = subprocess.run(
            self._argv(words),
            cwd=self.folder,
            env=environment(**self.settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        self.code = done.returncode
        return done.stdout

    def _served(self, words, shown):
        argv = self._argv(words)
        if "--port" not in words:
            argv += ["--port", str(self.port if words[1] == "receipts" else 0)]
        with subprocess.Popen(
            argv,
            cwd=self.folder,
            env=environment(**self.settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            lines = (line for line in process.stdout or () if line.strip())
            first = [next(lines) for _ in range(max(1, shown))]
            process.send_signal(signal.SIGINT)
            return "".join(first) + process.communicate(timeout=20)[0]

    def _compare(self, line, output):
        """Each line that a page shows was printed; … stands for what differs from run to run."""
        printed = [_plain(said) for said in output.splitlines()]
        for shown in line.shown:
            wanted = _plain(shown).replace("[", "[[]").replace("…", "*")
            assert fnmatch.filter(printed, wanted), (line.line, shown, output)


def _plain(line):
    """Leave out ports, and how wide a column is."""
    return " ".join(_ADDRESS.sub("127.0.0.1:PORT", line).split())
