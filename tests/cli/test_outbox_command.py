"""Campaigns that are stopped and go on, and `orange-sms outbox`, as a user runs them."""

import asyncio
import contextlib
import csv
import math
import os
import re
import shlex
import signal
import sqlite3
import stat
import subprocess
import time
from collections import Counter
from datetime import timedelta

import pytest
from cli.served import COMMAND, environment, seen_at_work
from disk import begin
from typer.testing import CliRunner

from orange_sms_async import OutboundMessage, Outcome, Priority, ResourceId, SqliteOutbox, State
from orange_sms_async.cli.commands import app
from orange_sms_async.outbox import Entry

GOOD = "+2250700000001"


@pytest.fixture
def campaign(rows_file):
    """Write a file of so many rows, whose texts begin with a word of the test's own."""

    def campaign(word, rows=300):
        texts = (f"{GOOD},{word} {number}\n" for number in range(rows))
        return rows_file("to,text\n" + "".join(texts))

    return campaign


@pytest.fixture
def received(sandbox):
    """Count how often Orange took each text that begins with a word."""

    def received(word):
        texts = (one["text"] for one in sandbox.shown("sent"))
        return Counter(text for text in texts if text.startswith(word))

    return received


@pytest.fixture
def counts(tmp_path):
    """Count the messages of an outbox by state, past the command."""

    def counts():
        with contextlib.closing(sqlite3.connect(tmp_path / "c.db")) as database:
            return Counter(state for (state,) in database.execute("SELECT state FROM message"))

    return counts


@pytest.fixture
def unknown(tmp_path):
    """Leave an outbox as a crash does: U1 was on the wire, W1 waits, S1 was sent."""

    async def leave(outbox):
        await begin(outbox, time.time(), timedelta.max)
        for reference, number in (("S1", 11), ("U1", 12), ("W1", 13)):
            message = OutboundMessage(f"+22507000000{number}", "Secret", reference=reference)
            await outbox.add(Entry(message, Priority.BULK, 0.0, math.inf))
        claim = await outbox.claim(time.time())
        sent = Outcome("S1", State.SENT, ResourceId("r-1"))
        await outbox.settle(claim, sent, time.time())
        await outbox.claim(time.time())
        await outbox.aclose()

    path = tmp_path / "c.db"
    asyncio.run(leave(SqliteOutbox(path)))
    return path


def states(lines):
    return Counter(line["state"] for line in lines.values())


# -- campaigns that are stopped --------------------------------------------------------------------


def test_a_killed_campaign_goes_on_where_it_was(start, run, campaign, results, received):
    """
    Orange takes each row exactly once or it is listed as unknown, and every row is listed.
    """
    path = campaign("Tuée")
    process = start("bulk", path, "--outbox", "c.db", "--rate", "200")
    seen_at_work(path, lines=100)
    process.send_signal(signal.SIGKILL)
    process.communicate()

    ended = run("bulk", path, "--outbox", "c.db", "--rate", "off")

    lines, taken = results(path), received("Tuée")
    assert "c.db resumes: " in ended.stdout
    assert {1} == set(taken.values())
    assert list(range(2, 302)) == sorted(lines)
    assert {"accepted", "unknown"} >= states(lines).keys()
    assert states(lines)["accepted"] <= taken.total() <= 300
    assert (5 if states(lines)["unknown"] else 0) == ended.returncode


def test_ctrl_c_leaves_the_rest_waiting(start, run, campaign, results, received):
    """
    The rest is listed as waiting, and the same command sends exactly that.
    """
    path = campaign("Arrêtée", rows=400)
    process = start("bulk", path, "--outbox", "c.db", "--rate", "100")
    seen_at_work(path)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[0]
    first = states(results(path))

    ended = run("bulk", path, "--outbox", "c.db", "--rate", "off")

    assert 130 == process.returncode
    assert {"accepted", "waiting"} == first.keys()
    assert f"{first['waiting']} not sent yet." in said
    assert "Run the same command to resume" in said
    assert (0, {"accepted": 400}) == (ended.returncode, states(results(path)))
    assert [1] * 400 == list(received("Arrêtée").values())


def test_a_finished_campaign_sends_nothing_more(run, rows_file, results, received):
    """
    Two identical rows are two messages; run again, each row is listed with the same resource id.
    """
    path = rows_file(f"to,text,reference\n{GOOD},Finie,\n{GOOD},Finie,\n{GOOD},Finie,R1\n")

    run("bulk", path, "--outbox", "c.db", "--rate", "off")
    first = results(path)
    ended = run("bulk", path, "--outbox", "c.db", "--rate", "off")

    assert "c.db resumes: 3 already sent, 0 waiting." in ended.stdout
    assert (0, first) == (ended.returncode, results(path))
    assert {"Finie": 3} == received("Finie")


def test_a_changed_row_is_a_new_message(run, rows_file, results, received):
    """
    Rows put in, taken out or moved are no reason to send the others again.
    """
    row = f"{GOOD},Carte {{}}\n".format
    path = rows_file("to,text\n" + row("un") + row("deux") + row("trois"))
    run("bulk", path, "--outbox", "c.db", "--rate", "off")

    rows_file("to,text\n" + row("zéro") + row("trois") + row("un") + row("2"))
    ended = run("bulk", path, "--outbox", "c.db", "--rate", "off", "--sender-name", "MonService")

    assert (0, {"accepted": 4}) == (ended.returncode, states(results(path)))
    assert {f"Carte {what}": 1 for what in ("un", "deux", "trois", "zéro", "2")} == received(
        "Carte"
    )


def test_a_reference_stays_with_its_message(run, rows_file, results, received):
    """
    A row that was changed and kept its reference is wrong: which one is meant?
    """
    path = rows_file(f"to,text,reference\n{GOOD},Réf un,R1\n")
    run("bulk", path, "--outbox", "c.db", "--rate", "off")

    rows_file(f"to,text,reference\n{GOOD},Réf deux,R1\n")
    ended = run("bulk", path, "--outbox", "c.db", "--rate", "off")

    assert (1, "reference") == (ended.returncode, results(path)[2]["field"])
    assert {"Réf un": 1} == received("Réf")


def test_what_is_in_no_row_is_announced_and_sent(run, rows_file, unknown, results, counts):
    """
    An outbox goes on with all that waits in it, and says so before.
    """
    path = rows_file(f"to,text\n{GOOD},Bonjour\n")

    ended = run("bulk", path, "--outbox", "c.db", "--rate", "off")

    said = ended.stdout
    assert "c.db resumes: 1 already sent, 1 waiting, 1 unknown." in said
    assert "1 of the unknown: in progress when the last run ended, so perhaps sent." in said
    assert f"1 of the waiting: in no row of {path}, but sent too." in said
    assert (0, {"accepted": 1}) == (ended.returncode, states(results(path)))
    assert (0, 3) == (counts()["queued"], counts()["sent"])


def test_only_the_results_of_this_outbox_are_replaced(run, rows_file, results):
    """
    What another run found out is nowhere else: such a file stays without `--force`.
    """
    path = rows_file(f"to,text\n{GOOD},Bonjour\n")
    run("bulk", path, "--rate", "off")
    first = results(path)

    refused = run("bulk", path, "--outbox", "c.db", "--rate", "off")

    assert (2, first) == (refused.returncode, results(path))
    assert "exists already" in refused.stderr


def test_results_that_cannot_be_written_lose_nothing(run, campaign, counts):
    """
    What waits when the disk is full still waits: it is not withdrawn.
    """
    path = campaign("Plein", rows=100)

    full = run("bulk", path, "--outbox", "c.db", "--results", "/dev/full", "--force")

    assert 2 == full.returncode
    assert "cannot write /dev/full" in full.stderr
    assert 0 == counts()["withdrawn"]
    assert 0 == run("bulk", path, "--outbox", "c.db", "--rate", "off").returncode


def test_wrong_credentials_leave_it_waiting(run, campaign, results, sandbox, counts):
    """
    With the right ones the same command goes on.
    """
    path = campaign("Accès", rows=10)
    settings = sandbox.environment | {"ORANGE_SMS_AUTHORIZATION": "Basic eDp5"}

    refused = run("bulk", path, "--outbox", "c.db", settings=settings)

    assert (3, {"waiting": 10}) == (refused.returncode, states(results(path)))
    assert "10 rows: 0 accepted, 10 not sent yet." in refused.stdout
    assert "to resume. Already in c.db: " in refused.stdout
    assert 0 == run("bulk", path, "--outbox", "c.db", "--rate", "off").returncode
    assert 10 == counts()["sent"]


# -- the command -----------------------------------------------------------------------------------


def test_it_counts_and_lists(run, unknown):
    """
    What was on the wire is unknown; its number is masked.
    """
    counted = run("outbox", "show", unknown)
    listed = run("outbox", "show", unknown, "--state", "unknown").stdout.split("\t")

    assert (0, "") == (counted.returncode, counted.stderr)
    assert "queued\t1\nsent\t1\nfailed\t0\nunknown\t1\n" in counted.stdout
    assert ["U1", "+225******12"] == listed[:2]
    assert time.strftime("%Y-") == listed[2][:5]
    assert "the process ended while this was on the wire\n" == listed[3]


def test_a_campaign_says_how_to_list_the_unknown(run, unknown, rows_file):
    """
    In a line that can be copied.
    """
    path = rows_file("to,text,reference\n+2250700000012,Secret,U1\n")

    said = run("bulk", path, "--outbox", unknown, "--rate", "off").stdout
    [command] = re.findall(r"`orange-sms (.*)` lists them", said)

    assert run(*command.split()).stdout.startswith("U1\t")


def test_an_unknown_message_was_sent(run, unknown, counts):
    """
    A person found out what Orange calls it; that is settled once.
    """
    settled = run("outbox", "resolve", unknown, "U1", "--sent", "r-2")
    again = run("outbox", "resolve", unknown, "U1", "--not-sent")

    assert (0, "U1 is now recorded as sent.\n") == (settled.returncode, settled.stdout)
    assert (2, f"Error: outbox {unknown}: U1 is sent, not unknown\n") == (
        again.returncode,
        again.stderr,
    )
    assert (2, 0) == (counts()["sent"], counts()["unknown"])


def test_an_unknown_message_was_not_sent(run, unknown, rows_file, results):
    """
    It waits again, and the campaign sends it.
    """
    path = rows_file("to,text,reference\n+2250700000012,Secret,U1\n")

    settled = run("outbox", "resolve", unknown, "U1", "--not-sent")
    ended = run("bulk", path, "--outbox", unknown, "--rate", "off")

    assert settled.stdout.startswith("U1 waits again")
    assert (0, "accepted") == (ended.returncode, results(path)[2]["state"])


def test_all_messages_are_exported_for_their_owner(run, unknown, tmp_path):
    """
    With numbers, so for nobody else's eyes; a file that exists stays as it is.
    """
    out = tmp_path / "out.csv"

    exported = run("outbox", "export", unknown, out)
    again = run("outbox", "export", unknown, out)

    with out.open(encoding="utf-8-sig", newline="") as file:
        lines = {line.pop("reference"): line for line in csv.DictReader(file)}
    assert (0, 0o600) == (exported.returncode, stat.S_IMODE(out.stat().st_mode))
    assert ("+2250700000011", "sent", "r-1", "") == tuple(lines["S1"].values())[:4]
    assert ("unknown", "", "OutcomeUnknown") == tuple(lines["U1"].values())[1:4]
    assert "queued" == lines["W1"]["state"]
    assert (2, f"Error: {out} exists already: choose another name\n") == (
        again.returncode,
        again.stderr,
    )


def test_what_is_forgotten_is_still_recognised(run, rows_file, tmp_path, received, results):
    """
    Number and text are gone from the file, and the campaign run again sends nothing.
    """
    path = rows_file(f"to,text\n{GOOD},Oubliée\n")
    run("bulk", path, "--outbox", "c.db", "--rate", "off")

    forgotten = run("outbox", "forget", "c.db")
    listed = run("outbox", "show", "c.db", "--state", "sent").stdout
    again = run("bulk", path, "--outbox", "c.db", "--rate", "off")

    assert "number and text were deleted: 1." in forgotten.stdout
    assert "\tforgotten\t" in listed
    assert not [
        word for word in (GOOD, "Oubliée") if word.encode() in (tmp_path / "c.db").read_bytes()
    ]
    assert (0, "accepted") == (again.returncode, results(path)[2]["state"])
    assert {"Oubliée": 1} == received("Oubliée")


def test_a_person_gets_a_table(unknown):
    """
    It keeps to the width of the terminal, with the reference whole.
    """
    ours, theirs = os.openpty()
    settings = environment(TERM="xterm", COLUMNS="60")
    command = [*COMMAND, "outbox", "show", str(unknown), "--state", "unknown"]

    subprocess.run(command, env=settings, stdout=theirs, check=True)
    os.close(theirs)
    lines = os.read(ours, 100_000).decode().splitlines()
    os.close(ours)

    assert "reference" in lines[0]
    assert "U1" in lines[1]
    assert 60 >= max(map(len, lines[1:]))


# -- files that are no outbox ----------------------------------------------------------------------


def test_a_running_campaign_can_be_looked_into(start, run, campaign):
    """
    It goes on meanwhile.
    """
    path = campaign("Tenue", rows=100)
    bulk = start("bulk", path, "--outbox", "c.db", "--rate", "10")
    seen_at_work(path, lines=15)  # by then it has let all rows in

    shown = run("outbox", "show", "c.db")

    assert 0 == shown.returncode
    rows = (row.split("\t") for row in shown.stdout.splitlines())
    assert 100 == sum(int(cells[1]) for cells in rows if cells[0] in [*State])
    assert bulk.poll() is None


def missing(path):
    pass


def empty(path):
    path.touch()


def folder(path):
    path.mkdir()


def foreign(path):
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE theirs (id INT)")
    database.close()


def damaged(path):
    path.write_bytes(b"to,text\n" * 400)


def newer(path):
    asyncio.run(_make(path))
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()


async def _make(path):
    outbox = SqliteOutbox(path)
    await begin(outbox, time.time(), timedelta.max)
    await outbox.aclose()


NO_OUTBOX = {
    missing: "No such file or directory",
    empty: "empty",
    folder: "Is a directory",
    foreign: "not an outbox but a file of another program",
    damaged: "not an outbox, or damaged",
    newer: "written by a newer version of orange-sms-async",
}


def test_what_is_no_outbox_is_one_line_and_stays_as_it_is(start, tmp_path):
    paths = {made: tmp_path / f"{made.__name__}.db" for made in NO_OUTBOX}
    for make, path in paths.items():
        make(path)
    before = {path: content(path) for path in paths.values()}

    asked = {made: start("outbox", "show", path) for made, path in paths.items()}

    for made, process in asked.items():
        said = process.communicate(timeout=30)[1]
        assert (2, 1) == (process.returncode, said.count("\n"))
        assert said.startswith(f"Error: outbox {paths[made]}: {NO_OUTBOX[made]}")
    assert before == {path: content(path) for path in paths.values()}


def content(path):
    return path.read_bytes() if path.is_file() else path.exists()


WRONG_USE = {
    "resolve c.db": "Missing argument 'REFERENCE'",
    "resolve c.db U1": "Error: REFERENCE: needs either --sent",
    "resolve c.db U1 --sent r-1 --not-sent": "Error: --sent, --not-sent: give only one",
    "resolve c.db U1 --sent ''": "Error: --sent: may not be empty",
    "resolve c.db U1 --sent 'r\t1'": "Error: REFERENCE, --sent: contains an unprintable",
    "forget c.db --state sent": "No such option: --state",
    "c.db": "No such command 'c.db'",
}


@pytest.mark.parametrize("words", WRONG_USE)
def test_it_does_one_thing_and_asks_for_what_that_needs(words):
    ended = CliRunner().invoke(app, ["outbox", *shlex.split(words)])

    assert 2 == ended.exit_code
    assert WRONG_USE[words] in ended.output


@pytest.mark.parametrize("words", ["show c.db", "show c.db --state unknown"])
def test_a_list_whose_reader_has_gone(start, unknown, words):
    """
    As in `| head -2`.
    """
    assert unknown.exists()
    process = start("outbox", *words.split(), settings={})
    process.stdout.close()

    assert ("", 0) == (process.stderr.read(), process.wait(timeout=30))


def test_a_change_that_cannot_be_told_is_made(full, unknown, counts):
    """
    And that is what its exit code tells.
    """
    ended = full("outbox", "resolve", unknown, "U1", "--sent", "r-2")

    assert 0 == ended.returncode
    assert ended.stderr.startswith("Warning: stdout: No space left on device")
    assert Counter(sent=2, queued=1) == counts()


def test_nothing_it_says_holds_a_number_or_a_text(run, unknown, rows_file):
    """
    Neither the command nor a campaign that goes on.
    """
    path = rows_file("to,text,reference\n+2250700000012,Secret,U1\n+2250700000013,Secret,W1\n")
    ended = [run("outbox", "show", unknown, "--state", state) for state in ("queued", "unknown")]
    ended += [
        run("bulk", path, "--outbox", unknown, "--rate", "off"),
        run("outbox", "forget", unknown),
    ]

    said = "".join(one.stdout + one.stderr for one in ended)
    assert not [word for word in ("\x1b", "Secret", "070000001") if word in said]


@pytest.mark.parametrize("place", [":memory:", "mysql://localhost/sms"])
def test_an_outbox_that_names_no_file(run, rows_file, place):
    """
    What is kept in memory is not kept: it is said by the option's name, and nothing is sent.
    """
    path = rows_file("to,text\n+2250700000001,Bonjour\n")
    ended = run("bulk", path, "--outbox", place)

    assert (2, "") == (ended.returncode, ended.stdout)
    assert "Error: --outbox" in ended.stderr
