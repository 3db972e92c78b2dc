"""`orange-sms outbox delivery`."""

import asyncio
import csv
import io
import json

import pytest
from line import Line, named
from receipt import receipt
from typer.testing import CliRunner

from orange_sms_async import SendQueue, SqliteOutbox
from orange_sms_async.cli.commands import app


@pytest.fixture
def run(path):
    """The command over an outbox that two messages were sent from, of which one arrived."""

    async def fill():
        async with SendQueue(Line(), outbox=SqliteOutbox(path)) as queue:
            await queue.keep(receipt(await queue.send(named("a"))))
            await queue.send(named("b"))

    asyncio.run(fill())
    return lambda *options: CliRunner().invoke(app, ["outbox", "delivery", str(path), *options])


def test_the_table_says_what_prefixes_are_not(run):
    """
    A line a country, and a line a prefix.
    """
    shown = run().stdout.splitlines()

    assert ["CIV", "2", "1", "0", "0", "0"] == shown[1].split()[:6]
    assert ["CIV", "07", "2", "1"] == shown[2].split()[:4]
    assert "Where numbers can be ported, a prefix does not identify an operator." == shown[-1]


def test_programs_get_json_or_csv(run):
    """
    With the same names.
    """
    [civ, _] = json.loads(run("--json").stdout)
    [_, prefix] = csv.DictReader(io.StringIO(run("--csv").stdout))

    assert ("CIV", None, 2, 1) == (
        civ["country"],
        civ["prefix"],
        civ["accepted"],
        civ["delivered"],
    )
    assert ("07", "2") == (prefix["prefix"], prefix["accepted"])
    assert 2 == run("--json", "--csv").exit_code
