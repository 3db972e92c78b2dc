"""Commands that other tests run as processes, run here: what they say, by what they find."""

import asyncio
import socket
import sys
from collections import Counter

import pytest
import typer

from orange_sms_async import (
    OutboundMessage,
    OutboxUnusable,
    OutcomeUnknown,
    Priority,
    SqliteOutbox,
)
from orange_sms_async.cli.exits import errors_end, show_behind
from orange_sms_async.cli.health import Health
from orange_sms_async.cli.work import _end

pytestmark = pytest.mark.real_time

TO = "+2250700000001"


@pytest.fixture
def outbox(tmp_path):
    outbox = SqliteOutbox(tmp_path / "sms.db")
    outbox.put(OutboundMessage(TO, "Bonjour", reference="first"))
    return outbox


@pytest.mark.parametrize("option", ["--debug", "--json"])
def test_work_until_empty(invoke, outbox, option):
    ended = invoke("work", "--until-empty", option, outbox.path)

    assert 0 == ended.exit_code
    assert "sent" == outbox.outcome("first").state
    assert "ccepted" in ended.stdout


def test_work_with_wrong_credentials(invoke, sandbox, outbox):
    wrong = sandbox.environment | {"ORANGE_SMS_AUTHORIZATION": "Basic YTpi"}

    ended = invoke("work", "--until-empty", outbox.path, settings=wrong)

    assert 3 == ended.exit_code
    assert "queued" == outbox.outcome("first").state


def test_work_on_a_port_that_is_taken(invoke, outbox):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        metrics = invoke("work", "--metrics", port, outbox.path)
        receipts = invoke("work", "--receipts", port, outbox.path)

    assert (2, 2) == (metrics.exit_code, receipts.exit_code)
    assert f"port {port} is taken" in metrics.stderr
    assert f"cannot listen on 127.0.0.1:{port}" in receipts.stderr


def test_a_person_is_shown_who_sends_and_what_waits(invoke, outbox):
    shown = invoke("outbox", "show", outbox.path, locale="FORCE_COLOR=1")
    listed = invoke("outbox", "show", outbox.path, "--state", "failed", locale="FORCE_COLOR=1")

    assert "No process has the turn: nothing is being sent." in shown.stdout
    assert "Waiting: urgent 0, normal 1, bulk 0; the oldest has waited 0:00:" in shown.stdout
    assert "No message is failed." in listed.stdout


def test_nothing_is_summed_up_of_no_outbox(invoke, tmp_path):
    ended = invoke("outbox", "delivery", tmp_path / "sms.db")

    assert 2 == ended.exit_code
    assert "No such file" in ended.stderr


def test_a_demo_of_one_row(invoke, rows_file):
    ended = invoke("demo", rows_file(f"to,text\n{TO},Bonjour\n"))

    assert 0 == ended.exit_code
    assert "1 accepted" in ended.stdout


def test_a_demo_of_no_file(invoke, tmp_path):
    ended = invoke("demo", tmp_path / "rows.csv")

    assert 2 == ended.exit_code
    assert "rows.csv" in ended.stderr


def test_a_dry_run_of_a_campaign_that_has_begun(invoke, outbox, rows_file):
    """
    What was sent is not counted again, and what the outbox does not know is.
    """
    path = rows_file(f"to,text,reference\n{TO},Bonjour,first\n{TO},Bonsoir,second\n")
    invoke("work", "--until-empty", outbox.path)

    ended = invoke("bulk", path, "--dry-run", "--outbox", outbox.path)

    assert 0 == ended.exit_code
    assert "already settled, and not sent again: 1 row\n" in ended.stdout
    assert "1 message, 1 SMS" in ended.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("sandbox --receipts ftp://host", "an http:// or https:// address"),
        ("sandbox --seed nowhere.json", "nowhere.json"),
        ("outbox move {} postgresql://127.0.0.1:1/app", "no connection"),
        ("outbox migrate postgresql://127.0.0.1:1/app", "no connection"),
        ("outbox migrate sms.db", "must begin with postgresql://"),
        ("outbox show nowhere.db", "No such file"),
        ("receipts --store / --port 0", "Is a directory"),
    ],
)
def test_a_mistake_is_one_line(invoke, outbox, words, said):
    ended = invoke(*words.format(outbox.path).split())

    assert 2 == ended.exit_code
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_who_has_the_turn_is_named():
    waiting = dict.fromkeys(Priority, 0)
    health = Health(("process 7 of web", 0.0), waiting, None, Counter())

    who, what = health.lines()

    assert who.startswith("Process 7 of web has had the turn since 19")
    assert "Waiting: urgent 0, normal 0, bulk 0." == what
    assert ("turn", "process 7 of web") == health.rows()[0][:2]


@pytest.mark.parametrize(
    "words",
    ["work {}", "outbox show {}", "outbox backup {}", "demo", "bulk {rows}", "balance", "usage"],
)
def test_ctrl_c_before_anything_began(invoke, outbox, rows_file, monkeypatch, words):
    def interrupted(coroutine):
        coroutine.close()
        raise KeyboardInterrupt

    monkeypatch.setattr(asyncio, "run", interrupted)
    rows = rows_file(f"to,text\n{TO},Un\n")

    ended = invoke(*words.format(outbox.path, rows=rows).split())

    assert (2 if "backup" in words else 130) == ended.exit_code


def test_an_error_with_nothing_behind_it(capsys):
    show_behind(OutcomeUnknown("no answer"))
    with pytest.raises(typer.Exit) as ended, errors_end(debug=False):
        raise KeyboardInterrupt

    assert "OutcomeUnknown: no answer\n" in capsys.readouterr().err
    assert 130 == ended.value.exit_code


def test_tls_without_what_makes_certificates(invoke, monkeypatch):
    monkeypatch.setitem(sys.modules, "trustme", None)

    ended = invoke("sandbox", "--tls", "--port", "0")

    assert 2 == ended.exit_code
    assert "--tls needs: pip install 'orange-sms-async[sandbox]'" in ended.stderr


def test_work_ends_with_what_stopped_it(capsys):
    with pytest.raises(typer.Exit) as ended:
        _end("the queue stopped", OutboxUnusable("outbox sms.db: gone"), debug=False)

    assert "Error: outbox sms.db: gone\n" == capsys.readouterr().err
    assert 2 == ended.value.exit_code
