"""`orange-sms check` and `bulk --dry-run`: whether a campaign can begin."""

import datetime as dt
import itertools

import pytest

from orange_sms_async import Client, ClientCredentials
from orange_sms_async.cli.check import Preflight
from orange_sms_async.cli.csv_rows import Defaults
from orange_sms_async.sandbox import Sandbox

GOOD = "+2250700000001"
BAD_ROWS = {
    "07 00 00 00 01,Bonjour,,": "to: write it as +2250701020304",
    "+3312345678,Bonjour,,": "to: not in one of the 13 countries",
    f"{GOOD},,,": "text: may not be empty",
    f"{GOOD},Bonjour,Café,": "sender_name: 1 to 11 letters",
    f"{GOOD},Bonjour,,B1": "reference: the same as in an earlier row",
    f"{GOOD},Bonjour": "row: 2 columns, but the header has 4",
    f"{GOOD},Bonjour, à demain,,": "row: 5 columns, but the header has 4",
    f'{GOOD},"Bonjour,,': "row: a quote is not closed",
    f"{GOOD},caf\udce9,,": "text: not UTF-8",
}


@pytest.mark.parametrize("command", [["check"], ["bulk", "--dry-run"]])
def test_ten_thousand_rows_with_all_that_can_be_wrong(run, rows_file, sandbox, command):
    """
    Each rule that is broken is said once, with how often and where first; nobody's number is.
    """
    rows = itertools.islice(itertools.cycle([*BAD_ROWS, f"{GOOD},Ça va,MonService,"]), 9_999)
    path = rows_file("")
    text = "\n".join(["to,text,sender_name,reference", f"{GOOD},Bonjour,,B1", *rows])
    path.write_bytes(text.encode(errors="surrogateescape"))
    before = len(sandbox.shown("sent"))

    ended = run(*command, path)

    said = ended.stdout.splitlines()
    assert (1, "") == (ended.returncode, ended.stderr)
    assert "go     1,000 messages, 1,000 SMS" in said[0]
    for row, rule in enumerate(BAD_ROWS.values(), 3):
        assert 1 == sum(
            f"no-go  1,000 x {rule}" in line and f"first in row {row}" in line for line in said
        )
    assert "go     sender names, if Orange has approved them: MonService" in said
    assert "No-go: 9 problems to fix. Nothing was sent." == said[-1]
    assert GOOD[4:] not in ended.stdout
    assert before == len(sandbox.shown("sent"))
    assert [path] == [*path.parent.iterdir()]


@pytest.mark.real_time
async def test_go(ask, rows_file):
    """
    What it costs in each country, of how much, and how long it takes.
    """
    path = rows_file(f"to,text\n{GOOD},Bonjour\n{GOOD},{'ê' * 71}\n+221770000001,Bonjour\n")

    code, said, complaints = await ask("check", path, "--rate", 1)

    lines = said.splitlines()
    assert (0, "") == (code, complaints)
    assert lines[0].startswith("go     3 messages, 4 SMS, counted as 1 unit each")
    assert "cheapest: 2 rows at 1 SMS; longest: 1 row at 2 SMS; first in row 3" in lines[1]
    assert 'go     more SMS only because of "ê": 1 row; first in row 3' == lines[2]
    assert "go     1 row with the number of an earlier row; first in row 3" == lines[3]
    assert lines[4].startswith("go     about 0:00:03 at 1/s: until ")
    assert [
        "go     the credentials work",
        "go     contract for CIV: 3 of 10,000,000 units, 365 days left",
        "go     contract for SEN: 1 of 10,000,000 units, 365 days left",
        "Go. Nothing was sent.",
    ] == lines[5:]


@pytest.mark.real_time
async def test_a_contract_that_ends_before_the_campaign(orange, ask, rows_file):
    """
    It is active now, and would not be for the last message.
    """
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    orange.account.contract("CIV").expiration_date = soon
    path = rows_file(f"to,text\n{GOOD},Bonjour\n{GOOD},Bonjour\n")
    in_time, too_late = await ask("check", path), await ask("check", path, "--rate", "0.0005")

    assert (0, 1) == (in_time[0], too_late[0])
    assert f"no-go  contract for CIV ends on {soon:%Y-%m-%d %H:%M} UTC, too early" in too_late[1]
    assert "No-go: 1 problem to fix." in too_late[1]


@pytest.mark.real_time
async def test_a_campaign_that_goes_on(orange, ask, rows_file):
    """
    Rows that were settled cost nothing more, and an outbox is not made by looking.
    """
    path = rows_file(f"to,text\n{GOOD},Bonjour\n{GOOD},Au revoir\n+221770000001,Bonjour\n")
    kept_in = ("--outbox", "c.db", "--max-units", "1")
    before = (await ask("bulk", path, *kept_in, "--dry-run"))[1]
    assert "3 messages" in before
    assert "no-go  --max-units 1 ends the campaign early: 2 rows left\n" in before
    assert [path] == [*path.parent.iterdir()]

    assert 1 == (await ask("bulk", path, *kept_in))[0]
    orange.account.expire("CIV")
    code, after, _ = await ask("bulk", path, "--outbox", "c.db", "--dry-run")

    assert "go     already settled, and not sent again: 1 row\ngo     2 messages" in after
    assert (1, 1) == (code, after.count("no-go"))
    assert 1 == len(orange.sent)


def test_a_campaign_without_an_end(rows_file, capsys):
    """
    At any rate, a file can have too many rows for a date.
    """
    sandbox = Sandbox()
    credentials = ClientCredentials.from_header(sandbox.authorization)
    path = rows_file(f"to,text\n{GOOD},Bonjour\n")
    preflight = Preflight(file=path, defaults=Defaults(), rate=1e-12)

    assert 1 == preflight.run(Client(credentials, transport=sandbox.transport), debug=False)
    assert "go     more than 100,000 days at 1e-12/s\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "code", "said"),
    [("to,text\n", 1, "no-go  0 messages"), ("number;text\n", 2, 'unknown column "number"')],
)
def test_a_file_of_nothing(invoke, rows_file, rows, code, said):
    ended = invoke("check", rows_file(rows))

    assert code == ended.exit_code
    assert said in ended.output


def test_a_sender_name_that_cannot_be(invoke, rows_file):
    ended = invoke("check", rows_file("to,text\n"), "--sender-name", "Café")

    assert 2 == ended.exit_code
    assert "letters (without accents)" in ended.stderr
