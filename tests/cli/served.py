"""The real command in processes of its own: a sandbox that listens, and commands run to it."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.request

from cli.forked import run_forked

COMMAND = [sys.executable, "-m", "orange_sms_async.cli"]
SETTING = re.compile(r'export (ORANGE_SMS_\w+)="?([^"\n]+)')


class ServedSandbox:
    """An `orange-sms sandbox`, and the environment it says to set."""

    def __init__(self, process):
        self.process = process
        self.environment = {}
        while len(self.environment) < 2:
            line = process.stdout.readline()
            assert line, "the sandbox did not start"
            self.environment.update(SETTING.findall(line))

    @property
    def url(self):
        return self.environment["ORANGE_SMS_BASE_URL"]

    def shown(self, what):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self.url}/_sandbox/{what}", timeout=10) as answer:
            return json.load(answer)


@contextlib.contextmanager
def served_sandbox(*options):
    process = subprocess.Popen(
        [*COMMAND, "sandbox", "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield ServedSandbox(process)
        finally:
            process.terminate()


def run_command(*arguments, cwd, settings, **options):
    """Run a command to its end; in a Python of its own only if that has to be told something."""
    words, env = [*map(str, arguments)], environment(**settings)
    if not options and not any(name.startswith("PYTHON") for name in settings):
        return run_forked(words, cwd, env, timeout=60)
    return subprocess.run(
        [*COMMAND, *words],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


def environment(**settings):
    """Ours without anybody's account in it and without a proxy to this machine."""
    ours = {name: value for name, value in os.environ.items() if "ORANGE_SMS" not in name}
    # Nor with anybody's file of settings: no file is in a device.
    nobody = {"NO_PROXY": "127.0.0.1", "XDG_CONFIG_HOME": os.devnull}
    nobody |= {"LANGUAGE": "", "LC_ALL": "C.UTF-8"}  # English, whoever runs the tests
    return ours | nobody | settings


def seen_at_work(path, *, lines=2):
    """Return once so many lines of the results of a file of rows are on disk."""
    results = path.with_suffix(".results.csv")
    until = time.monotonic() + 20
    while not results.exists() or results.read_bytes().count(b"\n") < lines:
        assert time.monotonic() < until, "no result came"
        time.sleep(0.02)  # another process writes it: there is nothing here to await
