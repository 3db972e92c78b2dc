"""The commands on an outbox in PostgreSQL: what is said of a file may be said of a DSN."""

import os

import pytest
from cli.served import run_command, served_sandbox

pytestmark = pytest.mark.real_time

SUBMIT = "SELECT orange_sms.submit($1, $2, '+2250701020304', 'Bonjour')"


@pytest.fixture(scope="module")
def sandbox():
    with served_sandbox("--rate", "off") as sandbox:
        yield sandbox


@pytest.fixture
def run(tmp_path, sandbox, dsn):
    """Run a command to its end, with the place of the outbox in its environment."""

    def run(*arguments, **settings):
        place = sandbox.environment | {"ORANGE_SMS_OUTBOX": dsn} | settings
        return run_command(*arguments, cwd=tmp_path, settings=place)

    return run


def shown(run, *options):
    rows = run("outbox", "show", *options).stdout.splitlines()
    return dict(row.split("\t", 1) for row in rows)


async def test_what_was_submitted_in_a_transaction_is_sent(run, db, dsn):
    """
    By a process that only sends, and the health line tells before and after.
    """
    await db.execute(SUBMIT, "default", "order 1")
    before = shown(run)

    ended = run("work", dsn, "--until-empty", ORANGE_SMS_OUTBOX="")

    assert (0, "") == (ended.returncode, ended.stderr)
    assert "Accepted: 1" in ended.stdout
    assert ("1", "none") == (before["waiting normal"], before["turn"])
    assert ("1", "0") == (shown(run)["sent"], shown(run)["waiting normal"])


async def test_a_person_settles_exports_and_forgets(run, db, tmp_path):
    await db.execute(SUBMIT, "default", "order 1")
    await db.execute("UPDATE orange_sms.message SET state = 'unknown', finished_at = now()")

    listed = run("outbox", "show", "--state", "unknown").stdout
    resolved = run("outbox", "resolve", "order 1", "--sent", "id-1")
    exported = run("outbox", "export", "all.csv")
    forgotten = run("outbox", "forget")

    assert "order 1" in listed
    assert "order 1 is now recorded as sent." in resolved.stdout
    assert "id-1" in (tmp_path / "all.csv").read_text()
    assert 0 == exported.returncode
    assert "were deleted: 1." in forgotten.stdout


def test_a_campaign_goes_on_from_there(run, tmp_path, db):
    """
    The second time, no row is sent again.
    """
    (tmp_path / "rows.csv").write_text("to,text\n+2250700000001,Un\n+2250700000002,Deux\n")

    first, second = run("bulk", "rows.csv"), run("bulk", "rows.csv")

    assert (0, 0) == (first.returncode, second.returncode)
    assert "is new: the campaign starts." in first.stdout
    assert "2 already sent" in second.stdout
    assert "2" == shown(run)["sent"]


async def test_each_account_has_its_own(run, db):
    await db.execute(
        "INSERT INTO orange_sms.account (name, rate, key) VALUES ('marketing', 5, 'key')"
    )
    await db.execute(SUBMIT, "marketing", "spring")

    assert "0" == shown(run)["waiting normal"]
    assert "1" == shown(run, "--account", "marketing")["waiting normal"]
    assert 0 == run("work", "--account", "marketing", "--until-empty").returncode
    assert "1" == shown(run, "--account", "marketing")["sent"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("work --rate 50", "rate: the client has 50 a second, the account in the outbox 5"),
        ("outbox show --account nobody", "there is no such account"),
        ("outbox backup copy.db", "a database has its own tools"),
        ("outbox restore", "a database has its own tools"),
    ],
)
def test_what_cannot_be_done_is_one_line(run, words, said):
    ended = run(*words.split())

    assert 2 == ended.returncode
    assert said in ended.stderr
    assert 1 == len(ended.stderr.splitlines())


@pytest.mark.parametrize(
    "words",
    [("work",), ("outbox", "show"), ("outbox", "forget"), ("bulk", os.devnull)],
)
def test_a_password_is_shown_nowhere(run, words):
    ended = run(*words, ORANGE_SMS_OUTBOX="postgresql://me:hunter2@127.0.0.1:1/app")

    assert 2 == ended.returncode
    assert "postgresql://127.0.0.1:1/app" in ended.stderr or "bulk" in words
    assert "hunter2" not in ended.stdout + ended.stderr


def test_an_account_of_a_file_is_refused(run):
    ended = run("outbox", "show", "sms.db", "--account", "marketing")

    assert 2 == ended.returncode
    assert "--account" in ended.stderr
