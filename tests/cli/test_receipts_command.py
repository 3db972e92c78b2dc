"""`orange-sms receipts`, `bulk --receipts` and `outbox import`, as a user runs them."""

import asyncio
import contextlib
import csv
import math
import signal
import socket
import sqlite3
import stat
import time
from collections import Counter
from datetime import timedelta

import httpx
import pytest
from cli.served import seen_at_work, served_sandbox
from disk import begin

from orange_sms_async import OutboundMessage, Priority, SqliteOutbox, State
from orange_sms_async.outbox import Entry

ROWS = "to,text,reference\n" + "".join(
    f"+22507000000{n:02},Bonjour,R{n}\n" for n in (*range(10), 98, 99)
)


@pytest.fixture
def port():
    """One that is free."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture
def orange(port):
    """A sandbox that posts to that port."""
    with served_sandbox(
        *("--rate", "off", "--receipt-delay", "0.1"),
        *("--receipts", f"http://127.0.0.1:{port}/s3cret"),
    ) as orange:
        yield orange


def body(resource_id, status="DeliveredToTerminal", number="+2250700000001"):
    info = {"address": f"tel:{number}", "deliveryStatus": status}
    return {"deliveryInfoNotification": {"callbackData": resource_id, "deliveryInfo": info}}


@pytest.fixture
def endpoint(start):
    """Start `orange-sms receipts` with a free port; return it and its address."""

    def endpoint(*options):
        process = start("receipts", "--port", 0, *options)
        line = process.stdout.readline()
        assert "Receiving receipts on" in line
        return process, line.split()[3]

    return endpoint


def stored(path, column="resource_id", table="receipt"):
    with contextlib.closing(sqlite3.connect(path)) as db:
        return [value for (value,) in db.execute(f"SELECT {column} FROM {table} ORDER BY id")]


def test_a_campaign_that_takes_its_receipts(run, orange, port, rows_file, results):
    """
    Delivered is shown beside sent, and in the results of each row.
    """
    path = rows_file(ROWS)
    options = ("--outbox", "c.db", "--rate", "off", "--receipts", port, "--secret", "s3cret")
    done = run("bulk", path, *options, settings=orange.environment)
    lines = {line["reference"]: line["delivery"] for line in results(path).values()}

    assert (0, "") == (done.returncode, done.stderr)
    assert "12 accepted  10 delivered" in done.stdout
    expected = "10 DeliveredToTerminal, 1 DeliveryImpossible, 1 DeliveryUncertain"
    assert f"Receipts: {expected}.\n" in done.stdout
    assert ("DeliveryUncertain", "DeliveryImpossible") == (lines.pop("R98"), lines.pop("R99"))
    assert {f"R{n}": "DeliveredToTerminal" for n in range(10)} == lines
    assert not list(path.parent.glob("*.new"))


def test_results_behind_a_link(run, orange, port, rows_file, tmp_path):
    """
    What receipts told is entered in the file that the link names, and the link stays.
    """
    (tmp_path / "real.csv").touch()
    (tmp_path / "link.csv").symlink_to("real.csv")
    options = ("--outbox", "c.db", "--rate", "off", "--receipts", port, "--secret", "s3cret")
    written = ("--results", "link.csv", "--force")
    run("bulk", rows_file(ROWS), *options, *written, settings=orange.environment)

    assert (tmp_path / "link.csv").is_symlink()
    assert "DeliveredToTerminal" in (tmp_path / "real.csv").read_text(encoding="utf-8-sig")


def _no_room(results):
    results.with_name(f"{results.name}.new").mkdir()


def _no_results(results):
    results.unlink()
    results.write_text("state\naccepted\n")


@pytest.mark.parametrize("trouble", [_no_room, _no_results])
def test_results_that_cannot_be_filled_in_leave_the_summary(
    start, orange, port, rows_file, trouble
):
    """
    Receipts that cannot be entered in the results do not take the summary with them.
    """
    path = rows_file("to,text\n+2250700000001,Un\n+2250700000099,Deux\n")
    options = ("--outbox", "c.db", "--rate", 1, "--receipts", port, "--secret", "s3cret")
    process = start("bulk", path, *options, settings=orange.environment)
    seen_at_work(path)
    trouble(path.with_suffix(".results.csv"))
    said, complaints = process.communicate(timeout=30)

    assert 2 == process.returncode
    assert "2 rows: 2 accepted" in said
    assert complaints.startswith("Error: receipts missing from ")
    assert 1 == complaints.count("\n")


def test_receipts_that_do_not_come_are_not_waited_for_without_end(run, sandbox, rows_file, port):
    """
    The campaign ends; its results say nothing of delivery.
    """
    path = rows_file("to,text\n+2250700000001,Bonjour\n")
    options = ("--outbox", "c.db", "--receipts", port, "--receipts-wait", "0.5")
    done = run("bulk", path, *options)

    assert 0 == done.returncode
    assert "Receipts:" not in done.stdout
    assert "Warning: without a secret" in done.stderr


def test_ctrl_c_ends_the_wait_for_receipts(start, sandbox, rows_file, port, results):
    """
    What was sent is sent; nothing is said of what did not come.
    """
    path = rows_file("to,text\n+2250700000001,Bonjour\n")
    process = start(*("bulk", path, "--outbox", "c.db", "--receipts", port, "--receipts-wait", 600))
    for line in process.stdout:
        if "1 accepted" in line:
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)

    assert 130 == process.returncode
    assert ["accepted"] == [line["state"] for line in results(path).values()]


def test_ctrl_c_in_the_middle_of_a_campaign_that_takes_receipts(start, sandbox, rows_file, port):
    """
    What was on the wire finishes, the rest waits, and nothing more is waited for.
    """
    options = ("--outbox", "c.db", "--receipts", port, "--receipts-wait", 600, "--rate", 1)
    process = start("bulk", rows_file(ROWS), *options)
    for line in process.stdout:
        if " accepted" in line:
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)

    assert 130 == process.returncode
    assert "Error" not in err
    assert "Run the same command to resume" in out


def test_an_account_without_access_ends_a_campaign_that_takes_receipts(
    run, sandbox, rows_file, port
):
    """
    As it ends one that does not, and no receipt is waited for.
    """
    options = ("--outbox", "c.db", "--receipts", port, "--receipts-wait", 600)
    wrong = {**sandbox.environment, "ORANGE_SMS_AUTHORIZATION": "Basic eDp5"}
    done = run("bulk", rows_file(ROWS), *options, settings=wrong)

    assert 3 == done.returncode
    assert "Error: AuthenticationFailed" in done.stderr


def test_receipts_need_an_outbox(run, rows_file):
    """
    Without one there is nowhere to keep them.
    """
    done = run("bulk", rows_file(ROWS), "--receipts", 0)

    assert 2 == done.returncode
    assert "--outbox CAMPAIGN.db" in done.stderr


def test_a_campaign_with_a_secret_that_no_address_can_end_in(run, rows_file, tmp_path):
    """
    One line, before anything is opened.
    """
    options = ("--outbox", "c.db", "--receipts", 0, "--secret", "a/b")
    done = run("bulk", rows_file(ROWS), *options)

    assert 2 == done.returncode
    assert "secret: not empty and without a slash" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "c.db").exists()


def test_a_port_that_is_taken(run, rows_file):
    """
    One line, before anything is sent.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        done = run("bulk", rows_file(ROWS), "--outbox", "c.db", "--receipts", taken)
        alone = run("receipts", "--port", taken)

    assert (2, 2) == (done.returncode, alone.returncode)
    assert f"cannot listen on 127.0.0.1:{taken}" in done.stderr
    assert "`--receipts 0` picks a free port" in done.stderr
    assert f"cannot listen on 127.0.0.1:{taken}" in alone.stderr
    assert "`--port 0` picks a free port" in alone.stderr


def test_what_a_campaign_answered_before_sigkill_is_in_its_outbox(
    start, orange, port, rows_file, tmp_path
):
    """
    Kept first, then answered.
    """
    rows = "".join(f"+2250700{n:06},Bonjour\n" for n in range(2_000))
    options = ("--outbox", "c.db", "--rate", "off", "--receipts", port, "--secret", "s3cret")
    process = start("bulk", rows_file(f"to,text\n{rows}"), *options, settings=orange.environment)
    until = time.monotonic() + 30
    while orange.shown("statistics")["receipts_delivered"] < 200:
        assert time.monotonic() < until
    process.kill()
    process.wait()
    answered = orange.shown("statistics")["receipts_delivered"]

    assert answered <= len(stored(tmp_path / "c.db"))


def test_what_the_endpoint_answered_before_sigkill_is_in_its_file(endpoint, tmp_path):
    """
    As often as it is killed.
    """
    acknowledged = []
    for round_ in range(3):
        process, address = endpoint("--store", "r.db")
        with httpx.Client(base_url=address, trust_env=False) as orange:
            for n in range(100):
                orange.post("/", json=body(f"{round_}-{n}")).raise_for_status()
                acknowledged.append(f"{round_}-{n}")
            process.kill()
            process.wait()

    assert acknowledged == stored(tmp_path / "r.db")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("r.*")}
    assert {0o600} == modes


def test_a_store_that_fails(endpoint, tmp_path):
    """
    Orange is not told that a receipt is safe, and the end is as any other.
    """
    process, address = endpoint("--secret", "s3cret", "--store", "r.db")
    with contextlib.closing(sqlite3.connect(tmp_path / "r.db")) as db:
        db.execute("DROP TABLE receipt")
    with httpx.Client(base_url=address, trust_env=False) as orange:
        answer = orange.post("/s3cret", json=body("a"))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)

    assert 503 == answer.status_code
    assert (0, "a receipt could not be kept: OutboxUnusable\n") == (process.returncode, err)
    assert "1 refused (not kept)" in out


def test_an_endpoint_that_keeps_nothing_says_so(endpoint):
    """
    Orange is answered 200 all the same, and says it once.
    """
    process, _ = endpoint("--secret", "s3cret")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)

    assert err.startswith("Warning: without --store, ")


def test_the_endpoint_says_what_came(endpoint):
    """
    In numbers, the refused too; numbers of people in nothing it says.
    """
    process, address = endpoint("--secret", "s3cret", "--store", "r.db")
    with httpx.Client(base_url=address, trust_env=False) as orange:
        answers = [
            orange.post("/s3cret", json=body("a")).status_code,
            orange.post("/?token=s3cret", json=body("b", "DeliveryImpossible")).status_code,
            orange.post("/guess", json=body("c")).status_code,
            orange.post("/s3cret", content=b"rubbish").status_code,
            orange.get("/s3cret").status_code,
        ]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)

    assert [200, 200, 404, 400, 405] == answers
    assert (0, "") == (process.returncode, err)
    for part in ("2 receipts", "1 DeliveredToTerminal", "1 DeliveryImpossible"):
        assert part in out
    for part in ("1 refused (not found)", "1 refused (unreadable)", "1 refused (wrong method)"):
        assert part in out
    assert "700000001" not in out


def test_sources(endpoint):
    """
    Another one finds nothing there.
    """
    _, address = endpoint("--allowed-source", "203.0.113.7", "--trusted-proxy", "127.0.0.1")
    with httpx.Client(base_url=address, trust_env=False) as orange:
        answers = [
            orange.post("/", json=body("a"), headers={"X-Forwarded-For": source}).status_code
            for source in ("203.0.113.7", "198.51.100.1")
        ]

    assert [200, 404] == answers


def test_a_source_that_no_trusted_proxy_names(endpoint):
    """
    Whoever is on this machine is no proxy of itself.
    """
    _, address = endpoint("--allowed-source", "203.0.113.7")
    with httpx.Client(base_url=address, trust_env=False) as orange:
        answer = orange.post("/", json=body("a"), headers={"X-Forwarded-For": "203.0.113.7"})

    assert 404 == answer.status_code


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--secret", "a/b"), "secret: not empty and without a slash"),
        (("--allowed-source", "here"), "an IP address or a network"),
        (("--store", "none/r.db"), "store of receipts none/r.db: No such file"),
        (("--host", "192.0.2.1"), "cannot listen on 192.0.2.1"),
    ],
)
def test_settings_that_cannot_be(run, options, said):
    """
    One line that names it.
    """
    done = run("receipts", "--port", 0, *options)

    assert 2 == done.returncode
    assert said in done.stderr.splitlines()[-1]


@pytest.fixture
def crashed(tmp_path):
    """Leave an outbox as a crash does: U1 and U2 were on the wire, to two numbers."""

    async def leave(outbox):
        await begin(outbox, time.time(), timedelta.max)
        for reference, number in (("U1", 11), ("U2", 12), ("U3", 12)):
            message = OutboundMessage(f"+22507000000{number}", "Secret", reference=reference)
            await outbox.add(Entry(message, Priority.BULK, 0.0, math.inf))
            await outbox.claim(time.time())
        await outbox.aclose()

    asyncio.run(leave(SqliteOutbox(tmp_path / "c.db")))


def test_receipts_taken_elsewhere_are_joined(run, endpoint, crashed, tmp_path):
    """
    While the endpoint goes on: what is certain is settled, what is not is shown to a person.
    """
    _, address = endpoint("--store", "r.db")
    with httpx.Client(base_url=address, trust_env=False) as orange:
        for resource_id, number in (("81e4", 11), ("92f5", 12), ("stranger", 13)):
            orange.post("/", json=body(resource_id, number=f"+22507000000{number}"))
        imported = [run("outbox", "import", "c.db", "r.db").stdout for _ in range(2)]
        assert 200 == orange.post("/", json=body("later")).status_code
    listed = run("outbox", "show", "c.db", "--state", "unknown").stdout
    counted = run("outbox", "show", "c.db").stdout
    run("outbox", "export", "c.db", "all.csv")
    with (tmp_path / "all.csv").open(encoding="utf-8-sig", newline="") as file:
        exported = {line["reference"]: line for line in csv.DictReader(file)}

    assert [
        "Receipts read: 3. For messages here: 1; unknown messages settled: 1.\n",
        "Receipts read: 3. For messages here: 1; unknown messages settled: 0.\n",
    ] == imported
    assert 2 == listed.count("perhaps 92f5, DeliveredToTerminal")
    assert {"sent\t1", "unknown\t2", "DeliveredToTerminal\t1"} <= set(counted.splitlines())
    assert ("81e4", "DeliveredToTerminal") == (
        exported["U1"]["resource_id"],
        exported["U1"]["delivery"],
    )


def test_one_of_two_that_a_person_settles(run, endpoint, crashed):
    """
    Where one has its id, the receipt that is left is of the other, and the person is told.
    """
    _, address = endpoint("--store", "r.db")
    httpx.post(address, json=body("92f5", number="+2250700000012"), trust_env=False)
    run("outbox", "import", "c.db", "r.db")
    settled = run("outbox", "resolve", "c.db", "U2", "--sent", "70d3").stdout

    assert "U3 too is now recorded as sent: the remaining receipt can only be its own." in settled


def test_a_person_may_be_wrong_about_one_of_two(run, endpoint, crashed, tmp_path):
    """
    Called not sent, it may have been sent all the same: the receipt settles no other for a day.
    """
    _, address = endpoint("--store", "r.db")
    httpx.post(address, json=body("92f5", number="+2250700000012"), trust_env=False)
    run("outbox", "import", "c.db", "r.db")
    settled = run("outbox", "resolve", "c.db", "U2", "--not-sent").stdout

    assert "U3" not in settled
    assert 2 == Counter(stored(tmp_path / "c.db", "state", "message"))[State.UNKNOWN]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "store of receipts r.db: No such file"),
        (b"", "store of receipts r.db: empty"),
        (b"rubbish" * 1_000, "store of receipts r.db: not a store of receipts"),
    ],
)
def test_what_is_no_store_of_receipts(run, crashed, tmp_path, content, said):
    """
    One line; the outbox is as it was.
    """
    if content is not None:
        (tmp_path / "r.db").write_bytes(content)
    done = run("outbox", "import", "c.db", "r.db")

    assert 2 == done.returncode
    assert said in done.stderr
    assert {State.UNKNOWN: 3} == Counter(stored(tmp_path / "c.db", "state", "message"))
