"""A sandbox that lets everything through, and `orange-sms` run against it."""

import asyncio
import csv
import os
import subprocess
from pathlib import Path

import pytest
from cli.served import COMMAND, environment, run_command, served_sandbox
from typer.testing import CliRunner

from orange_sms_async.cli.commands import app
from orange_sms_async.cli.serving import bind, serving
from orange_sms_async.sandbox import Sandbox


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
        return run_command(*arguments, cwd=tmp_path, settings=settings, **options)

    return run


@pytest.fixture
def full(tmp_path, sandbox):
    """Run a command whose stdout is a full disk."""

    def full(*arguments):
        with Path("/dev/full").open("w") as disk:
            return subprocess.run(
                [*COMMAND, *map(str, arguments)],
                cwd=tmp_path,
                env=environment(**sandbox.environment),
                stdout=disk,
                stderr=subprocess.PIPE,
                text=True,
                timeout=60,
                check=False,
            )

    return full


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
def orange():
    """A sandbox whose account and faults can be changed while commands ask it."""
    return Sandbox(rate=None)


@pytest.fixture
def arrived():
    """The paths of requests that have come to it, whether or not they are answered yet."""
    return asyncio.Queue()


@pytest.fixture
async def begin(tmp_path, orange, arrived):
    """Start a command against it, in another process; ended when the test ends, if not before."""
    started = []

    async def noticed(scope, receive, send):
        if "path" in scope:
            arrived.put_nowait(scope["path"])
        await orange(scope, receive, send)

    async with serving(noticed, bind("127.0.0.1", 0)) as url:
        found = {"ORANGE_SMS_BASE_URL": url, "ORANGE_SMS_AUTHORIZATION": orange.authorization}

        async def begin(*arguments, **settings):
            process = await asyncio.create_subprocess_exec(
                *(*COMMAND, *map(str, arguments)),
                cwd=tmp_path,
                env=environment(**(found | settings)),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            started.append(process)
            return process

        yield begin
        for process in started:
            if process.returncode is None:
                process.terminate()
            await process.communicate()


@pytest.fixture
def ask(begin):
    """Run a command against it to its end: exit code, stdout and stderr."""

    async def ask(*arguments, **settings):
        process = await begin(*arguments, **settings)
        said = await process.communicate()
        return process.returncode, said[0].decode(), said[1].decode()

    return ask


@pytest.fixture
def invoke(sandbox):
    """Run a command within this process, against the sandbox for all."""

    def invoke(*arguments, settings=None, locale="", **options):
        settings = sandbox.environment if settings is None else settings
        settings = settings | dict(one.split("=") for one in locale.split())
        env = dict.fromkeys(name for name in os.environ if "ORANGE_SMS" in name)
        env |= environment(**settings)
        return CliRunner().invoke(app, [*map(str, arguments)], env=env, **options)

    return invoke


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

    def results(path, delimiter=","):
        with path.with_suffix(".results.csv").open(encoding="utf-8-sig", newline="") as file:
            lines = csv.DictReader(file, delimiter=delimiter)
            return {int(line["row"]): line for line in lines}

    return results
