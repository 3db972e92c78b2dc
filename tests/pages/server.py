"""Servers in processes of their own, which import the application of a page."""

import contextlib
import re
import subprocess
import sys

from cli.served import environment

RUNNING = re.compile(r"running on (http://127\.0\.0\.1:\d+)")
WSGI = """
import sys
from importlib import import_module
from wsgiref.simple_server import make_server

module, _, name = sys.argv[1].partition(":")
server = make_server("127.0.0.1", 0, getattr(import_module(module), name))
print(f"running on http://127.0.0.1:{server.server_port}", file=sys.stderr, flush=True)
server.serve_forever()
"""


def uvicorn(app, folder, settings, workers=1):
    """Serve an application of a module in a folder; yield its address."""
    arguments = ["-m", "uvicorn", app, "--port", "0", "--workers", str(workers)]
    return _served(arguments, folder, settings, workers)


def wsgi(app, folder):
    """Serve one without an event loop."""
    return _served(["-c", WSGI, app], folder, {}, workers=0)


@contextlib.contextmanager
def _served(arguments, folder, settings, workers):
    said = []
    with subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(**settings),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield _address(process.stderr, said, workers)
        finally:
            process.terminate()
            said += process.stderr or ()
    assert not [line for line in said if "ERROR" in line], "".join(said)


def _address(lines, said, workers):
    """Return it once each worker says that its application has started."""
    address = None
    for line in lines:
        said.append(line)
        workers -= "startup complete" in line
        if found := RUNNING.search(line):
            address = found[1]
        if address and not workers:
            return address
    raise AssertionError("".join(said))
