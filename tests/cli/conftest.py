"""A sandbox that lets everything through, and `orange-sms` run against it."""

import csv
import subprocess

import pytest
from cli.served import COMMAND, environment, served_sandbox


@pytest.fixture(scope="session")
def sandbox():
    """One for all: a test looks for its own numbers in what was sent."""
    with served_sandbox("--rate", "off") as sandbox:
        yield sandbox


@pytest.fixture
def run(tmp_path, sandbox):
    """Run a command to its end."""

    def run(*arguments, settings=None, **options):
        settings = sandbox.environment if settings is None else settings
        return subprocess.run(
            [*COMMAND, *map(str, arguments)],
            cwd=tmp_path,
            env=environment(**settings),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **options,
        )

    return run


@pytest.fixture
def start(tmp_path, sandbox):
    """Start a command and leave it running; killed when the test ends, if it still runs then."""
    started = []

    def start(*arguments, settings=None, **options):
        settings = sandbox.environment if settings is None else settings
        process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            cwd=tmp_path,
            env=environment(**settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def rows_file(tmp_path):
    """Write a file of rows, given as its text."""

    def rows_file(text, *, name="rows.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return rows_file


@pytest.fixture
def results():
    """Read the results file beside a file of rows: row number to its line."""

    def results(path):
        with path.with_suffix(".results.csv").open(encoding="utf-8-sig", newline="") as file:
            return {int(line["row"]): line for line in csv.DictReader(file)}

    return results
