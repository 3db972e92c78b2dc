"""uvicorn in a process of its own, which imports the application of a page."""

import contextlib
import re
import subprocess
import sys

from cli.served import environment

RUNNING = re.compile(r"running on (http://127\.0\.0\.1:\d+)")


@contextlib.contextmanager
def uvicorn(app, folder, sandbox):
    """Serve an application of a module in a folder; yield its address."""
    said = []
    with subprocess.Popen(
        [sys.executable, "-m", "uvicorn", app, "--port", "0"],
        cwd=folder,
        env=environment(**sandbox.environment),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield _address(process.stderr, said)
        finally:
            process.terminate()
            said += process.stderr or ()
    assert not [line for line in said if "ERROR" in line], "".join(said)


def _address(lines, said):
    for line in lines:
        said.append(line)
        if found := RUNNING.search(line):
            return found[1]
    raise AssertionError("".join(said))
