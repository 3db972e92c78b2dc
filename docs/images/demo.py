"""Takes the picture of `make demo`: runs it on a terminal, and draws what stands there."""

import os
import pty
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

HERE = Path(__file__).parent
WIDTH = 88
# rich's picture asks a server for its font; this one takes what the reader's machine has.
FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
FORMAT = FORMAT.replace("Fira Code, monospace", FONT)


def seen(command: list[str]) -> str:
    """Return what a command writes to a terminal."""
    ours, theirs = pty.openpty()
    settings = {"TERM": "xterm-256color", "COLUMNS": str(WIDTH), "COLORTERM": "truecolor"}
    process = subprocess.Popen(
        command, stdout=theirs, stderr=theirs, env=os.environ | settings, cwd=HERE.parents[1]
    )
    os.close(theirs)
    written = b""
    try:
        while block := os.read(ours, 65536):
            written += block
    except OSError:  # the terminal is closed with the command
        pass
    assert process.wait() == 0
    return written.decode()


def left_standing(written: str) -> list[str]:
    """Of a line that was drawn again and again, return the last state."""
    lines = written.replace("\r\n", "\n").split("\n")
    return [re.split(r"\x1b\[2K|\r", line)[-1] for line in lines]


def main() -> None:
    program = Path(sys.executable).with_name("orange-sms")
    lines = left_standing(seen([str(program), "demo"]))
    screen = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True)
    screen.print(Text("$ make demo", style="bold"))
    screen.print(Text.from_ansi("\n".join(lines).rstrip()))
    picture = screen.export_svg(title="orange-sms", theme=MONOKAI, code_format=FORMAT)
    (HERE / "demo.svg").write_text(picture)


if __name__ == "__main__":
    main()
