"""Write constraints.txt anew: the newest versions that go together, of all that is installed."""

import datetime as dt
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXTRAS = ".[aiohttp,cli,httpx2,otel,postgres,prometheus]"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder) / "bin" / "python"
        run(sys.executable, "-m", "venv", folder)
        run(python, "-m", "pip", "install", "--quiet", "--upgrade", "pip")
        run(python, "-m", "pip", "install", "--quiet", EXTRAS, "--group", "dev")
        # Neither what a venv of an older Python brings, nor the package itself.
        excluded = ("--exclude", "setuptools", "--exclude", "orange-sms-async")
        frozen = run(python, "-m", "pip", "freeze", "--all", *excluded)
    lines = sorted(frozen.splitlines(), key=str.lower)
    header = f"# Written by `make constraints` on {dt.datetime.now(dt.UTC):%Y-%m-%d}."
    (ROOT / "constraints.txt").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    print(f"{len(lines)} versions are in constraints.txt.")


def run(*command: str | Path) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout


if __name__ == "__main__":
    main()
