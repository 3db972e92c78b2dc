"""What commands do when nobody reads what they say, it cannot be encoded, or a disk is full."""

import json

import pytest

from orange_sms_async.cli.results import PrivateCsv

SEND = ("send", "+2250700000001", "Un mot privé")


def test_a_campaign_goes_on_without_its_reader(start, rows_file, results):
    """
    As in `| true`: every row is sent and listed, and the exit code says so.
    """
    path = rows_file("to,text\n" + "+2250700000001,Sans lecteur\n" * 7)
    process = start("bulk", path, "--rate", "off")
    process.stdout.close()
    complaints = process.stderr.read()

    assert 0 == process.wait(timeout=30)
    assert ["accepted"] * 7 == [line["state"] for line in results(path).values()]
    assert "Warning: stdout: Broken pipe. The command continues without it.\n" == complaints


def test_what_is_sent_is_no_failure_on_a_full_disk(full, rows_file, results):
    """
    1 would say that Orange refused it, and have it sent again.
    """
    path = rows_file("to,text\n+2250700000001,Disque plein\n")
    ended = [full(*SEND), full("bulk", path, "--rate", "off")]

    warning = "Warning: stdout: No space left on device. The command continues without it.\n"
    assert [(0, warning)] * 2 == [(one.returncode, one.stderr) for one in ended]
    assert "accepted" == results(path)[2]["state"]


@pytest.mark.parametrize("command", ["balance", "balance --csv", "segments ça"])
def test_an_answer_that_cannot_be_written_is_an_error(full, command):
    """
    One line and 2: a file that cannot be written.
    """
    ended = full(*command.split())

    assert (2, "Error: stdout: No space left on device\n") == (ended.returncode, ended.stderr)


@pytest.mark.parametrize(("command", "code"), [("check", 1), ("demo", 0)])
def test_a_verdict_stands_on_a_full_disk(full, rows_file, command, code):
    """
    Whoever asks for the exit code alone is not told of another.
    """
    ended = full(command, rows_file("to,text\n0700000001,Disque plein\n"))

    assert code == ended.returncode
    assert "Warning: stdout: No space left on device" in ended.stderr


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii"])
@pytest.mark.parametrize("command", ["balance", "usage --json", "purchases --csv", "segments ça"])
def test_a_reader_that_has_gone_is_no_error(start, sandbox, command, encoding):
    """
    As in `| head -2`, for what only shows.
    """
    process = start(*command.split(), settings=sandbox.environment | {"PYTHONIOENCODING": encoding})
    process.stdout.close()

    assert ("", 0) == (process.stderr.read(), process.wait(timeout=30))


@pytest.mark.parametrize("command", ["", "bulk", "balance", "outbox", "outbox show"])
def test_help_whose_reader_has_gone_is_no_error(start, command):
    """
    As in `--help | true`.
    """
    process = start(*command.split(), "--help")
    process.stdout.close()

    assert ("", 0) == (process.stderr.read(), process.wait(timeout=30))


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_what_an_encoding_lacks_is_escaped(run, encoding):
    """
    On the stdout of an older Windows, or where the locale is unknown.
    """
    ended = run("segments", "Bravo 😀", settings={"PYTHONIOENCODING": encoding})

    assert (0, "") == (ended.returncode, ended.stderr)
    assert r"Bravo >\U0001f600<" in ended.stdout


@pytest.mark.real_time
async def test_json_can_be_read_whatever_the_encoding(orange, ask):
    orange.account.contract("CIV").offer_name = "SMS à 5 € 😀"
    code, said, _ = await ask("balance", "--json", PYTHONIOENCODING="cp1252")

    assert 0 == code
    assert "SMS à 5 € 😀" in {contract["offer_name"] for contract in json.loads(said)}


def test_a_campaign_whose_file_has_a_name_in_no_encoding(run, sandbox, rows_file, results):
    """
    Its rows are sent, and its exit code says so.
    """
    path = rows_file("to,text\n+2250700000001,Sans nom\n", name="caf\udce9.csv")
    settings = {"PYTHONIOENCODING": "utf-8"}
    ended = run("bulk", path, settings=sandbox.environment | settings)

    assert (0, "") == (ended.returncode, ended.stderr)
    assert r"caf\udce9.results.csv" in ended.stdout
    assert "accepted" == results(path)[2]["state"]


def test_a_reason_may_hold_such_a_name(tmp_path):
    """
    As an outbox does that has become unusable.
    """
    with PrivateCsv(tmp_path / "r.csv", ["reason"], instead="") as file:
        file.write(["outbox caf\udce9.db: disk full"])

    assert r"caf\udce9.db" in (tmp_path / "r.csv").read_text("utf-8-sig")
