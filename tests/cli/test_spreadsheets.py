"""Files as spreadsheets leave them, and texts filled from their columns."""

import datetime as dt

import pytest

from orange_sms_async import Country
from orange_sms_async.cli.csv_rows import Defaults, date_and_time, open_rows
from orange_sms_async.cli.spreadsheet import UnreadableFileError, count_rows, encoding_of
from orange_sms_async.cli.template import Template

GOOD = "+2250700000001"
CIV = Country.from_code("CIV")


def read(path, **defaults):
    with open_rows(path, Defaults(**defaults)) as rows:
        return list(rows)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_whatever_a_spreadsheet_saves_is_read(rows_file, encoding, separator):
    """
    In each encoding, with each separator, Windows' line ends and an empty row.
    """
    text = f"to{separator}text\r\n{GOOD}{separator}Réunion à 15 h…\r\n{separator}\r\n"
    path = rows_file(text, encoding=encoding)

    [row] = read(path)

    assert "Réunion à 15 h…" == row.message.text
    assert 1 == count_rows(path)


@pytest.mark.parametrize(
    "cells", [b"caf\x8e", b"caf\xe9 d\xc3\xa9j\xc3\xa0"], ids=["Macintosh", "damaged"]
)
def test_an_encoding_that_would_garble_a_text_is_not_guessed(rows_file, cells):
    """
    A Mac's é is a Ž elsewhere; where one line is UTF-8, another is damaged. The row is refused.
    """
    path = rows_file("")
    path.write_bytes(b"to,text\n%s,%s\n%s,Bonjour\n" % (GOOD.encode(), cells, GOOD.encode()))

    bad, good = read(path)

    assert "text: not UTF-8; save the file as 'CSV UTF-8'" == str(bad.error)
    assert good.message


def test_half_a_character_of_utf_16_is_one_line(rows_file):
    path = rows_file("")
    path.write_bytes("to,text\n".encode("utf-16") + b"a")

    with pytest.raises(UnreadableFileError, match="is not UTF-16"):
        encoding_of(path)


def test_rows_and_columns_that_were_emptied(rows_file):
    """
    A spreadsheet leaves their separators; a text that runs over into one is not cut short.
    """
    path = rows_file(f"to;text;;\n{GOOD};Bonjour;;\n;;;\n{GOOD};Bonjour; Awa;\n")

    good, bad = read(path)

    assert good.message
    assert (4, "row: a cell is in a column without a name") == (bad.number, str(bad.error))


def test_numbers_of_a_country_and_of_another(rows_file):
    """
    The option speaks for rows whose column says nothing.
    """
    path = rows_file(
        "to,text,country\n07 00 00 00 01,x,\n77 123 45 67,x,sen\n07,x,FRA\n2.25E+12,x,\n"
    )

    first, second, third, fourth = read(path, country=CIV)

    assert [GOOD, "+221771234567"] == [first.message.to, second.message.to]
    assert "country: one of Orange's countries" in str(third.error)
    assert "Excel has rounded" in str(fourth.error)


def test_a_text_is_filled_from_the_columns(rows_file):
    """
    Names are found in any case, other columns are left alone, an empty cell leaves no hole.
    """
    path = rows_file(f"to,Prenom,ville,text\n{GOOD}, Awa ,Man,\n{GOOD},,Man,\n")

    filled, empty = read(path, text=Template.of("Bonjour {PRENOM}, {{promo}} !"))

    assert "Bonjour Awa, {promo} !" == filled.message.text
    assert 'text: the column "prenom" is empty in this row' == str(empty.error)


@pytest.mark.parametrize("braces", ["{prenom}", "{Prénom}"])
@pytest.mark.parametrize("column", ["Prénom", "prenom"])
def test_accents_make_no_other_column(rows_file, braces, column):
    path = rows_file(f"to;{column}\n{GOOD};Awa\n")

    (row,) = read(path, text=Template.of(f"Bonjour {braces}"))

    assert "Bonjour Awa" == row.message.text


def test_the_column_of_the_numbers_is_asked_for(invoke, rows_file):
    """
    A header without it is one, if it names what the text asks for.
    """
    path = rows_file(f"Prénom;Téléphone\nAwa;{GOOD}\n")

    ended = invoke("check", path, "--text", "Bonjour {prenom}")

    assert 2 == ended.exit_code
    assert 'rows.csv: the column "to" is missing: give this name to the column' in ended.stderr


def test_results_have_the_separator_of_their_rows(run, rows_file):
    """
    A French spreadsheet reads both; a campaign that goes on reads its own.
    """
    path = rows_file(f"to;text\n{GOOD};Bonjour; vous\n{GOOD};Bonsoir\n")

    for _ in range(2):
        ended = run("bulk", path, "--rate", "off", "--outbox", "sms.db")
        header, *lines = path.with_suffix(".results.csv").read_text("utf-8-sig").splitlines()

        assert (1, "row;reference;to;state") == (ended.returncode, header[:22])
        assert ["invalid", "accepted"] == sorted(
            (line.split(";")[3] for line in lines), reverse=True
        )


def test_a_column_that_is_missing_is_named_before_anything_is_sent(run, rows_file, sandbox):
    before = len(sandbox.shown("sent"))

    ended = run("bulk", rows_file(f"to,nom\n{GOOD},Koné\n"), "--text", "Bonjour {prenom}")

    assert (2, before) == (ended.returncode, len(sandbox.shown("sent")))
    assert ended.stderr.endswith('rows.csv: the column "prenom" is missing\n')


@pytest.mark.parametrize("text", ["Bonjour {", "Bonjour {}", "{prenom!r}", "{a:>9}"])
def test_what_is_no_template_is_refused(invoke, rows_file, text):
    ended = invoke("check", rows_file("to,prenom\n"), "--text", text)

    assert 2 == ended.exit_code
    assert '"Bonjour {prenom}"; {{ is a brace' in ended.stderr


def test_a_row_does_not_leave_after_its_time(run, rows_file, results):
    """
    Its column wins over the option, and what came too late is neither sent nor failed.
    """
    path = rows_file(f"to,text,expires_at\n{GOOD},x,2026-01-01 08:00\n{GOOD},y,\n{GOOD},z,31/12\n")

    ended = run("bulk", path, "--rate", "off", "--expires-at", "2999-12-31 08:00")

    lines = results(path)
    assert 1 == ended.returncode
    assert ["expired", "accepted", "invalid"] == [lines[row]["state"] for row in (2, 3, 4)]
    assert "1 expired" in ended.stdout
    assert "write it as 2026-12-31 08:00" == lines[4]["reason"]


def test_a_date_is_local_unless_it_says_more():
    """
    Day and month of a spreadsheet's own order are not guessed, and a day alone has no hour.
    """
    assert dt.datetime(2026, 12, 31, 8).astimezone() == date_and_time("2026-12-31 08:00")
    assert dt.datetime(2026, 12, 31, 8, tzinfo=dt.UTC) == date_and_time("2026-12-31T08:00Z")
    for written in ("31/12/2026 08:00", "2026-12-31", "demain", ""):
        with pytest.raises(ValueError, match="2026-12-31 08:00"):
            date_and_time(written)


def test_check_tells_landlines_and_what_a_character_costs(invoke, rows_file):
    """
    Neither stops a campaign; the first row of each is named.
    """
    long = "x" * 80
    path = rows_file(f"to,text\n{GOOD},{long}\n+2252720000001,{long}ç\n", encoding="cp1252")

    said = invoke("check", path).output

    assert "go     read as Windows-1252" in said
    assert "go     1 landline, which SMS rarely reach; first in row 3" in said
    assert 'go     more SMS only because of "ç": 1 row; first in row 3' in said


def test_a_campaign_from_an_address_of_ones_own(run, rows_file, sandbox):
    """
    Orange's table only recommends; with it, a country outside it can be written to.
    """
    path = rows_file("to,text\n+2250700009911,De chez nous\n")

    assert 0 == run("bulk", path, "--rate", "off", "--sender-address", "+2250001").returncode
    [sent] = [one for one in sandbox.shown("sent") if one["text"] == "De chez nous"]
    assert "tel:+2250001" == sent["sender_address"]
    ended = run("bulk", path, "--force", "--sender-address", "Boutique")
    assert (2, True) == (ended.returncode, "3 to 15 digits" in ended.stderr)
