"""Install a wheel into a bare environment, and run the README's program and commands from it."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROGRAM = re.compile(r'```python title="first.py"\n(.*?)```', re.DOTALL)
SETTING = re.compile(r'export (ORANGE_SMS_\w+)="?([^"\n]+)')


def main(wheel: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder)
        run(sys.executable, "-m", "venv", bare / "venv")
        binaries = bare / "venv" / "bin"
        constraints = ROOT / "constraints.txt"
        pip = (binaries / "python", "-m", "pip", "install", "--quiet", "--constraint", constraints)
        run(*pip, f"{Path(wheel).resolve()}[cli]")
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        program = bare / "first.py"
        program.write_text(PROGRAM.findall(readme)[0], encoding="utf-8")
        run(binaries / "orange-sms", "--version", cwd=bare)
        with_sandbox(binaries, bare, program)


def with_sandbox(binaries: Path, bare: Path, program: Path) -> None:
    command = (binaries / "orange-sms", "sandbox", "--port", "0")
    with subprocess.Popen(command, cwd=bare, stdout=subprocess.PIPE, text=True) as sandbox:
        try:
            settings: dict[str, str] = {}
            while len(settings) < 2:
                settings.update(SETTING.findall(sandbox.stdout.readline()))  # type: ignore[union-attr]
            run(binaries / "python", program, cwd=bare, env=os.environ | settings)
        finally:
            sandbox.terminate()


def run(*command: str | Path, **settings: object) -> None:
    subprocess.run(command, check=True, timeout=300, **settings)  # type: ignore[call-overload]


if __name__ == "__main__":
    main(sys.argv[1])
