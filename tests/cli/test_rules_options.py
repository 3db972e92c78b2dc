"""`--hours`, `--suppress`, `--max-units` and `--gate`: rules on the command line."""

from datetime import UTC, datetime, timedelta

import pytest

from orange_sms_async import OutboundMessage, SqliteOutbox, State
from orange_sms_async.gates import Suppression
from orange_sms_async.outbox.notebook import Notebook

KEY = "a-key-that-tests-made-up"
NAMED = {"ORANGE_SMS_SUPPRESSION_KEY": KEY}
ROWS = "to,text\n" + "".join(f"+22177000000{n},x\n" for n in range(5))


def closed():
    """Hours in Senegal, whose clock is UTC, that begin in more than an hour."""
    now = datetime.now(UTC)
    opens, closes = now + timedelta(hours=2), now + timedelta(hours=4)
    return f"{opens:%H}-{closes:%H}", opens.replace(minute=0, second=0, microsecond=0)


@pytest.fixture
def stop(tmp_path):
    """A list as a spreadsheet writes it."""
    path = tmp_path / "stop.csv"
    path.write_text("name;number\nAwa;+221770000001\nBa;+221770000003\n", encoding="utf-8-sig")
    return path


@pytest.mark.real_time
class TestBulk:
    async def test_who_is_on_the_list_gets_nothing(self, orange, ask, rows_file, results, stop):
        """
        The results name the rule, the others go, and the exit code is 1.
        """
        path = rows_file(ROWS)
        code, said, _ = await ask("bulk", path, "--rate", "off", "--suppress", stop)

        lines = results(path)
        assert (1, 3) == (code, len(orange.sent))
        assert ["withheld"] * 2 == [lines[3]["state"], lines[5]["state"]]
        assert ("Withheld", "the recipient asked to be left alone") == (
            lines[3]["error"],
            lines[3]["reason"],
        )
        assert "5 rows: 3 accepted, 2 withheld." in said
        assert "2 x withheld: the recipient asked to be left alone" in said

    async def test_a_list_of_hashes(self, orange, ask, rows_file, tmp_path):
        """
        Made with the key of the environment; without it, nothing is sent.
        """
        notes, exported = Notebook(), tmp_path / "stop.csv"
        suppression = Suppression(KEY)
        await suppression.add(notes, "+221770000001")
        with exported.open("w") as file:
            await suppression.export_csv(notes, file)
        path = rows_file(ROWS)
        options = (path, "--rate", "off", "--suppress", exported)
        without = await ask("bulk", *options)
        assert (2, 0) == (without[0], len(orange.sent))
        assert "the hashes need the key that made them" in without[2]
        assert (1, 4) == ((await ask("bulk", *options, **NAMED))[0], len(orange.sent))

    async def test_what_may_not_leave_now_waits(self, begin, rows_file, orange):
        """
        It says until when.
        """
        hours, opens = closed()
        process = await begin("bulk", rows_file(ROWS), "--hours", hours, "--outbox", "c.db")
        said = ""
        while "held back until" not in said:
            said += (await process.stdout.readline()).decode()
        process.terminate()
        await process.communicate()

        assert f"held back until {opens.astimezone():%Y-%m-%d %H:%M}" in said
        assert [] == orange.sent

    async def test_a_run_may_not_spend_more(self, orange, ask, rows_file, results):
        """
        Not one unit more is debited, what is refused costs nothing, and the rest is not sent.
        """
        orange.account.expire("CIV")
        path = rows_file("to,text\n+2250700000001,x\n" + "+221770000001,Bonjour\n" * 5)
        code, _, complaints = await ask("bulk", path, "--rate", "off", "--max-units", 3)

        states = [line["state"] for line in results(path).values()]
        assert (1, 3) == (code, orange.statistics().units_used)
        assert (1, 3, 2) == tuple(map(states.count, ("refused", "accepted", "not sent")))
        assert "Error: --max-units 3: the next message costs more than is left\n" == complaints

    async def test_an_outbox_keeps_the_rest(self, orange, ask, rows_file):
        """
        The same command goes on with it, and each run may spend so much.
        """
        path = rows_file(ROWS)
        codes = []
        for _ in range(3):
            options = ("--outbox", "c.db", "--rate", "off", "--max-units", 2)
            code, said, _ = await ask("bulk", path, *options)
            codes.append((code, len(orange.sent)))

        assert [(1, 2), (1, 4), (0, 5)] == codes
        assert "5 rows: 5 accepted" in said


@pytest.mark.real_time
async def test_check_says_what_they_would_do(orange, ask, rows_file, stop):
    """
    How many rows wait until when, go to nobody, or are beyond the units.
    """
    hours, opens = closed()
    options = ("--hours", hours, "--suppress", stop, "--max-units", "2")
    code, said, _ = await ask("check", rows_file(ROWS), *options)

    assert 1 == code
    assert "go     3 messages, 3 SMS" in said
    assert "go     not sent, because the number is suppressed: 2 rows\n" in said
    assert "no-go  --max-units 2 ends the campaign early: 1 row left\n" in said
    assert f"go     --hours holds back 3 rows until {opens.astimezone():%Y-%m-%d %H:%M}\n" in said
    assert [] == orange.sent


GATE = """
from orange_sms_async import Withheld

class Nobody:
    def ask(self, asked):
        return Withheld("not today", rule="mine")

gate, nothing = Nobody(), object()
"""


@pytest.mark.real_time
async def test_work_asks_a_gate_of_ones_own(orange, ask, tmp_path):
    """
    Found in the folder where it was started.
    """
    (tmp_path / "rules.py").write_text(GATE)
    outbox = SqliteOutbox(tmp_path / "sms.db")
    outbox.put(OutboundMessage("+2250700000001", "x", reference="a"))
    code, said, _ = await ask("work", "sms.db", "--until-empty", "--gate", "rules:gate")

    kept = outbox.outcome("a")
    assert (1, State.FAILED, "mine") == (code, kept.state, kept.error.rule)
    assert "failed: 1" in said
    assert [] == orange.sent


MISTAKES = {
    "work sms.db --gate rules": "--gate: module:name, such as shop.rules:gate",
    "work sms.db --gate rules_of_nobody:gate": "cannot be imported (ModuleNotFoundError)",
    "work sms.db --gate orange_sms_async:State": "has no method ask(asked)",
    "bulk rows.csv --hours 8": "--hours: write the hours as 8-20 or 8:30-19:45",
    "bulk rows.csv --hours 8-25": "--hours: write the hours",
    "bulk rows.csv --suppress nowhere.csv": "cannot read nowhere.csv: No such file",
    "check rows.csv --suppress wrong.csv": "wrong.csv: line 2: write a number as",
    "check rows.csv --suppress empty.csv": "empty.csv: line 1: names no column",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(run, rows_file, mistake):
    """
    And nothing is sent.
    """
    rows_file(ROWS)
    rows_file("to\n07 01 02 03 04\n", name="wrong.csv")
    rows_file("", name="empty.csv")
    ended = run(*mistake.split())

    assert 2 == ended.returncode
    assert MISTAKES[mistake] in ended.stderr
    assert 1 == len(ended.stderr.splitlines())
    assert "07 01" not in ended.stderr
