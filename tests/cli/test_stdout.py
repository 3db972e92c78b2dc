"""What commands do when nobody reads what they say any more, or the disk it goes to is full."""

import subprocess
from pathlib import Path

import pytest
from cli.served import COMMAND, environment

SEND = ("send", "+2250700000001", "Un mot privé")


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
    assert "Warning: stdout: Broken pipe. The command goes on without it.\n" == complaints


def test_what_is_sent_is_no_failure_on_a_full_disk(full, rows_file, results):
    """
    1 would say that Orange refused it, and have it sent again.
    """
    path = rows_file("to,text\n+2250700000001,Disque plein\n")
    ended = [full(*SEND), full("bulk", path, "--rate", "off")]

    warning = "Warning: stdout: No space left on device. The command goes on without it.\n"
    assert [(0, warning)] * 2 == [(one.returncode, one.stderr) for one in ended]
    assert "accepted" == results(path)[2]["state"]


@pytest.mark.parametrize("command", ["balance", "balance --csv", "segments ça", "demo rows.csv"])
def test_an_answer_that_cannot_be_written_is_an_error(full, rows_file, command):
    """
    One line and 2: a file that cannot be written.
    """
    rows_file("to,text\n+2250700000001,Disque plein\n")
    ended = full(*command.split())

    assert (2, "Error: stdout: No space left on device\n") == (ended.returncode, ended.stderr)
