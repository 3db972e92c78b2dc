"""Commands in processes of their own that a warm one is forked into: Python starts once for all."""

import atexit
import contextlib
import functools
import locale
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing import forkserver
from pathlib import Path

import coverage

_CONTEXT = multiprocessing.get_context("forkserver")
_MEASURED = "COVERAGE_PROCESS_CONFIG"


def run_forked(arguments, cwd, env, timeout):
    """Run a command to its end, as `subprocess.run` does with a Python that has yet to start."""
    _start()
    with tempfile.TemporaryDirectory() as folder:
        said = [Path(folder) / name for name in ("stdout", "stderr")]
        process = _CONTEXT.Process(target=_command, args=(arguments, cwd, env, said))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(arguments, timeout)
        out, err = (file.read_text("utf-8") for file in said)
        return subprocess.CompletedProcess(arguments, process.exitcode, out, err)


@functools.cache
def _start():
    """Start what is forked; each fork is measured for itself."""
    _CONTEXT.set_forkserver_preload(["cli.forked", "orange_sms_async.cli.commands"])
    measured = os.environ.pop(_MEASURED, None)
    forkserver.ensure_running()
    if measured is not None:
        os.environ[_MEASURED] = measured


def _command(arguments, cwd, env, said):
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    with contextlib.suppress(locale.Error):
        locale.setlocale(locale.LC_CTYPE, "")
    for number, file in enumerate(said, 1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8")
    sys.stderr = os.fdopen(2, "w", 1, encoding="utf-8", errors="backslashreplace")
    sys.argv = ["orange-sms", *arguments]
    if _MEASURED in env:
        coverage.process_startup()
    from orange_sms_async.cli.__main__ import main

    try:
        main()
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves that out, and coverage saves there
