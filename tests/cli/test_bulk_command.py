"""`orange-sms bulk`, as a user runs it: another process, real HTTP."""

import stat

import pytest
from cli.served import seen_at_work

GOOD = "+2250700000001"


def test_every_row_comes_back_with_its_resource_id(run, rows_file, results, sandbox):
    """
    All rows are accepted, each line of the results names Orange's id, and the command ends with 0.
    """
    path = rows_file(
        "to,text,sender_name,reference\n"
        "+2250700000101,Réunion à 15 h,MonService,A1\n"
        '+221770000102,"Bonjour, à demain",,\n'
    )

    ended = run("bulk", path, "--rate", "off")

    assert (0, "") == (ended.returncode, ended.stderr)
    sent = {one["resource_id"]: one for one in sandbox.shown("sent")}
    lines = results(path)
    assert ["A1", ""] == [lines[row]["reference"] for row in (2, 3)]
    assert "MonService" == sent[lines[2]["resource_id"]]["sender_name"]
    assert "Bonjour, à demain" == sent[lines[3]["resource_id"]]["text"]


BAD_ROWS = {
    "07 00 00 00 01,Bonjour,,": "to",
    "+3312345678,Bonjour,,": "to",
    f"{GOOD},,,": "text",
    f"{GOOD},  ,,": "text",
    f"{GOOD},Bonjour,Café,": "sender_name",
    f"{GOOD},Bonjour,,B1": "reference",
    f"{GOOD},Bonjour": "row",
    f"{GOOD},Bonjour, à demain,,": "row",
    f'{GOOD},"Bonjour,,': "row",
    f"{GOOD},caf\udce9,,": "text",
}


def test_a_bad_row_names_its_field_and_the_others_go_on(run, rows_file, results):
    """
    Whatever is wrong with a row, it costs that row only.
    """
    head = "to,text,sender_name,reference\n+2250700000201,Bonjour,,B1\n"
    path = rows_file(head)
    text = head + "\n".join([*BAD_ROWS, "+2250700000202,Au revoir,,"])
    path.write_bytes(text.encode(errors="surrogateescape"))

    ended = run("bulk", path, "--rate", "off")

    lines = results(path)
    assert 1 == ended.returncode
    assert list(BAD_ROWS.values()) == [lines[row]["field"] for row in range(3, 13)]
    assert all(lines[row]["reason"] and lines[row]["state"] == "invalid" for row in range(3, 13))
    assert "the same as in row 2" in lines[8]["reason"]
    assert ["accepted", "accepted"] == [lines[2]["state"], lines[13]["state"]]


def test_a_refused_row_fails_alone(run, rows_file, results):
    """
    A sender name that Orange has not approved is refused, in Orange's words.
    """
    path = rows_file(f"to,text,sender_name\n{GOOD},Bonjour,Autre\n{GOOD},Bonjour,\n")

    ended = run("bulk", path, "--rate", "off")

    lines = results(path)
    assert 1 == ended.returncode
    assert ("refused", "RequestRejected") == (lines[2]["state"], lines[2]["error"])
    assert "accepted" == lines[3]["state"]


def test_wrong_credentials_stop_it_with_everything_listed(run, rows_file, results, sandbox):
    """
    Not one row is tried again and again: each is listed as not sent, with the reason.
    """
    path = rows_file("to,text\n" + f"{GOOD},Bonjour\n" * 1000)
    settings = sandbox.environment | {"ORANGE_SMS_AUTHORIZATION": "Basic eDp5"}

    ended = run("bulk", path, settings=settings)

    lines = results(path)
    assert 3 == ended.returncode
    assert "AuthenticationFailed" in ended.stderr
    assert {("not sent", "AuthenticationFailed")} == {
        (line["state"], line["error"]) for line in lines.values()
    }
    assert list(range(2, 1002)) == sorted(lines)


def test_it_gives_up_when_nothing_gets_through(run, rows_file, results, sandbox):
    """
    With nobody at the address, the rows are listed as not sent and the reason is said.
    """
    path = rows_file(f"to,text\n{GOOD},Bonjour\n")
    settings = sandbox.environment | {"ORANGE_SMS_BASE_URL": "http://127.0.0.1:9"}

    ended = run("bulk", path, "--patience", "0.2", settings=settings)

    assert 4 == ended.returncode
    assert "no connection to http://127.0.0.1:9" in ended.stderr
    assert "not sent" == results(path)[2]["state"]


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM"])
def test_an_interrupted_campaign_accounts_for_every_row(start, rows_file, results, sandbox, how):
    """
    What was on the wire is finished; what was not sent is listed; nothing is in between.
    """
    import signal

    text = f"Campagne {how}"
    path = rows_file("to,text\n" + f"{GOOD},{text}\n" * 1000)
    process = start("bulk", path, "--rate", "100")
    seen_at_work(path)
    process.send_signal(getattr(signal, how))
    process.communicate(timeout=30)

    lines = results(path)
    accepted = {line["resource_id"] for line in lines.values() if line["state"] == "accepted"}
    assert 130 == process.returncode
    assert list(range(2, 1002)) == sorted(lines)
    assert {"accepted", "not sent"} == {line["state"] for line in lines.values()}
    assert accepted == {one["resource_id"] for one in sandbox.shown("sent") if one["text"] == text}


def test_excel_in_french_is_read(run, rows_file, results):
    """
    A byte order mark, semicolons, quoted names and CRLF, as Excel writes them.
    """
    text = f'"to";"text"\r\n{GOOD};"Bonjour; à demain, 10 h"\r\n'
    path = rows_file(text, encoding="utf-8-sig")

    ended = run("bulk", path, "--rate", "off")

    assert 0 == ended.returncode
    assert "accepted" == results(path, delimiter=";")[2]["state"]


UNREADABLE = {
    "to,text,numéro\n": 'unknown column "numéro"',
    "to,message\n": 'unknown column "message"',
    "to,reference\n": 'the column "text" is missing',
    "to,text,to\n": "two columns have the same name",
    "+2250700000001,Bonjour\n": "the first row must name the columns",
    "": "is empty",
    "\n": "begins with an empty line",
    "PK\x03\x04": "is a workbook: save it as 'CSV UTF-8'",
}


@pytest.mark.parametrize("text", UNREADABLE)
def test_a_file_that_is_no_list_is_refused_in_one_line(run, rows_file, text):
    """
    The line says what is wrong, and shows nobody's number even if a row stands for the header.
    """
    ended = run("bulk", rows_file(text))

    assert 2 == ended.returncode
    assert UNREADABLE[text] in ended.stderr
    assert 1 == ended.stderr.count("\n")
    assert "0700000001" not in ended.stderr


def test_a_missing_file_is_one_line(run, tmp_path):
    ended = run("bulk", "nowhere.csv")

    assert (2, "Error: cannot read nowhere.csv: No such file or directory\n") == (
        ended.returncode,
        ended.stderr,
    )
    assert not list(tmp_path.iterdir())


def test_missing_credentials_are_named(run, rows_file):
    ended = run("bulk", rows_file("to,text\n"), settings={})

    assert 2 == ended.returncode
    assert "ORANGE_SMS_CLIENT_ID is not set" in ended.stderr


def test_results_are_not_replaced_by_accident(run, rows_file, results):
    """
    A results file that exists stays as it is; `--force` replaces it, for its owner's eyes only.
    """
    path = rows_file(f"to,text\n{GOOD},Bonjour\n")
    kept = path.with_suffix(".results.csv")
    kept.write_text("mine")

    refused = run("bulk", path)
    assert (2, "mine") == (refused.returncode, kept.read_text())
    assert "exists already" in refused.stderr

    assert 0 == run("bulk", path, "--force", "--rate", "off").returncode
    assert "accepted" == results(path)[2]["state"]
    assert 0o600 == stat.S_IMODE(kept.stat().st_mode)


def test_the_rows_are_never_replaced_by_their_results(run, rows_file):
    path = rows_file("to,text\n")

    ended = run("bulk", path, "--results", path, "--force")

    assert (2, "to,text\n") == (ended.returncode, path.read_text())


def test_a_full_disk_stops_it(run, rows_file):
    """
    What cannot be written down is not sent blindly.
    """
    path = rows_file("to,text\n" + f"{GOOD},Disque plein\n" * 100)

    ended = run("bulk", path, "--results", "/dev/full", "--force")

    assert 2 == ended.returncode
    assert "cannot write /dev/full" in ended.stderr


def test_a_pipe_gets_plain_words_and_nobodys_number(run, rows_file):
    """
    No escape codes, no number and no text, neither in what it says nor in its errors.
    """
    path = rows_file(f"to,text,sender_name\n{GOOD},Secret,\n{GOOD},Secret,Autre\n07,Secret,\n")

    ended = run("bulk", path, "--rate", "off")

    said = ended.stdout + ended.stderr
    assert "3 rows: 1 accepted, 1 refused, 1 invalid" in said
    assert not [word for word in ("\x1b", "Secret", "0700000001") if word in said]


def test_a_sender_name_for_all_rows_is_checked_once(run, rows_file, tmp_path):
    ended = run("bulk", rows_file("to,text\n"), "--sender-name", "Café")

    assert 2 == ended.returncode
    assert "letters (without accents)" in ended.stderr
    assert 1 == len(list(tmp_path.iterdir()))


@pytest.mark.parametrize("rate", ["0", "-1", "fast", "nan"])
def test_a_rate_is_a_number_above_zero_or_off(run, rows_file, rate):
    ended = run("bulk", rows_file("to,text\n"), "--rate", rate)

    assert 2 == ended.returncode
    assert "or off" in ended.stderr
