"""`orange-sms outbox backup` and `restore`: nothing is sent from two files."""

import resource
import signal
import stat
from datetime import UTC, datetime, timedelta

import pytest

from orange_sms_async import OutboundMessage, SqliteOutbox, State

pytestmark = pytest.mark.real_time  # the command is another process

TO = "+2250700000001"


@pytest.fixture
def outbox(tmp_path):
    outbox = SqliteOutbox(tmp_path / "sms.db")
    outbox.put(OutboundMessage(TO, "Bonjour", reference="now"))
    outbox.put(
        OutboundMessage(TO, "Demain", reference="later"),
        not_before=datetime.now(UTC) + timedelta(days=1),
    )
    return outbox


def test_a_copy_is_sent_only_after_it_is_restored(run, outbox, tmp_path):
    """
    What waits in it may have left since, and is unknown; what is for later still waits.
    """
    assert 0 == run("outbox", "backup", "sms.db", "copy.db").returncode
    assert 0o600 == stat.S_IMODE((tmp_path / "copy.db").stat().st_mode)

    refused = run("work", "--until-empty", "copy.db")
    restored = run("outbox", "restore", "copy.db")

    copy = SqliteOutbox(tmp_path / "copy.db")
    assert 2 == refused.returncode
    assert "`orange-sms outbox restore`" in refused.stderr
    assert "Messages now unknown: 1." in restored.stdout
    assert (State.UNKNOWN, State.SCHEDULED) == (
        copy.outcome("now").state,
        copy.outcome("later").state,
    )
    assert State.QUEUED is outbox.outcome("now").state


def test_a_copy_is_made_while_a_queue_sends(start, run, outbox, tmp_path):
    """
    And the queue goes on.
    """
    for _ in range(20):
        outbox.put(OutboundMessage(TO, "Bonjour"))
    queue = start("work", "sms.db")
    queue.stdout.readline()

    copied = run("outbox", "backup", "sms.db", "copy.db")

    assert 0 == copied.returncode
    assert 22 == sum(int(row.split("\t")[1]) for row in states(run, "copy.db"))
    queue.send_signal(signal.SIGTERM)
    assert 0 == queue.wait(30)


def states(run, file):
    assert 0 == run("outbox", "restore", file).returncode
    rows = run("outbox", "show", file).stdout.splitlines()
    return [row for row in rows if row.split("\t")[0] in [*State]]


@pytest.mark.parametrize("there", ["copy.db", "copy.db-wal", "copy.db.mark"])
def test_a_copy_replaces_nothing(run, outbox, tmp_path, there):
    """
    Nor does it take an old log for its own.
    """
    (tmp_path / there).write_bytes(b"mine")

    refused = run("outbox", "backup", "sms.db", "copy.db")

    assert 2 == refused.returncode
    assert 1 == len(refused.stderr.splitlines())
    assert f"{there} exists already" in refused.stderr
    assert b"mine" == (tmp_path / there).read_bytes()


@pytest.mark.parametrize("where", ["nowhere/copy.db", "/dev/full"])
def test_a_copy_that_cannot_be_made_is_one_line(run, outbox, where):
    refused = run("outbox", "backup", "sms.db", where)

    assert 2 == refused.returncode
    assert 1 == len(refused.stderr.splitlines())


def test_what_is_sent_from_is_not_restored(start, run, outbox, tmp_path):
    queue = start("work", "sms.db")
    while not run("outbox", "show", "sms.db").stdout.count("sent\t1"):
        pass

    refused = run("outbox", "restore", "sms.db")

    assert 2 == refused.returncode
    assert "a queue is sending from it: stop it first" in refused.stderr
    assert State.SENT is outbox.outcome("now").state
    queue.terminate()
    queue.communicate()


def test_who_sends_and_what_waits_for_how_long(start, run, outbox):
    """
    The process that has the turn is named, and looking does not take it.
    """
    before = run("outbox", "show", "sms.db").stdout
    queue = start("work", "sms.db")
    while "sent\t1" not in (during := run("outbox", "show", "sms.db").stdout):
        pass
    queue.kill()
    queue.communicate()
    after = run("outbox", "show", "sms.db").stdout

    assert {"turn\tnone", "waiting normal\t2"} <= set(before.splitlines())
    assert 0 <= int(before.partition("oldest\t")[2]) < 60
    assert f"\nturn\tprocess {queue.pid}\t{datetime.now(UTC).astimezone():%Y-%m-%d}" in during
    assert {"waiting normal\t1", "oldest\tnone"} <= set(during.splitlines())
    assert "turn\tnone" in after.splitlines()


def test_what_is_left_of_a_copy_is_taken_away(invoke, outbox, tmp_path):
    """
    The disk is full in the midst of it.
    """
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, unlimited[1]))
    try:
        ended = invoke("outbox", "backup", outbox.path, tmp_path / "copy.db")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)

    assert 2 == ended.exit_code
    assert "not copied" in ended.stderr
    assert [] == list(tmp_path.glob("copy.db*"))
