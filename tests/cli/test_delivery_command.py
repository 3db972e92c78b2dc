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


@pytest.mark.parametrize(
    ("since", "counted"), [("24h", "2"), ("7d", "2"), ("2020-01-31", "2"), ("9999-01-31", "")]
)
def test_of_messages_since_a_date(run, since, counted):
    """
    Or since so many days or hours ago.
    """
    rows = csv.DictReader(io.StringIO(run("--csv", "--since", since).stdout))

    assert counted == next((row["accepted"] for row in rows), "")


@pytest.mark.parametrize("since", ["yesterday", "0d", "7", "31/01/2026", "0001-01-01"])
def test_a_date_that_is_none(run, since):
    """
    How to write one is said.
    """
    done = run("--since", since)

    assert 2 == done.exit_code
    assert "7d, 24h, 2026-12-31" in done.stderr
