"""`orange-sms segments`: what a text costs, and plain characters instead of costly ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orange_sms_async import count_segments
from orange_sms_async.cli.segments import in_plain_characters, needs_ucs2


def test_a_text_that_costs_nothing_more(invoke):
    ended = invoke("segments", "Réunion à 15 h")

    assert (0, "1 SMS in GSM-7, with room for 146 more plain characters\n") == (
        ended.exit_code,
        ended.stdout,
    )


def test_costly_characters_and_what_plain_ones_save(invoke):
    """
    They are marked in the text, named with how often they stand in it, and replaced.
    """
    text = "L’été\u00a0: ça y est… " + "a" * 60

    said = invoke("segments", text).stdout.splitlines()

    assert "2 SMS in UCS-2, with room for 56 more plain characters" == said[0]
    assert f"L>’<été>\u00a0<: >ç<a y est>…< {'a' * 60}" == said[1]
    assert ["ç", "U+00E7", "1", "'c'"] == [said[5].split()[n] for n in (0, 1, -2, -1)]
    assert "With plain characters, 1 SMS in GSM-7, 1 fewer:" == said[-2]
    assert f"L'été : ca y est... {'a' * 60}" == said[-1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ça va", "With plain characters, 1 SMS in GSM-7 too, with room for 155 more."),
        ("🙂", "No plain replacement for: 🙂"),
        ("".join(map(chr, range(0x623, 0x643))), "... and 22 more"),
        ("5€", "counts double"),
    ],
)
def test_what_else_is_said(invoke, text, said):
    assert said in invoke("segments", "-", input=text + "\n").stdout


def test_no_text(invoke):
    ended = invoke("segments", "-", input="\n")

    assert 2 == ended.exit_code
    assert "TEXT: may not be empty" in ended.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("« L’œuvre » – “ici” …", '" L\'oeuvre " - "ici" ...'),
        ("ça, être, naïf, ÀÂÊÎÔÙ", "ca, etre, naif, AAEIOU"),
        ("e\u0301te\u0301", "été"),
        ("10\u202f000\u00a0F\u200bCFA", "10 000 FCFA"),
        ("Éèùòì Çñ €[]", "Éèùòì Çñ €[]"),
        ("مرحبا 🙂", "مرحبا 🙂"),
    ],
)
def test_plain_characters(text, expected):
    """
    What GSM-7 has stays, what has a plain form gets it, other scripts stay.
    """
    assert expected == in_plain_characters(text)


@given(st.text(st.one_of(st.sampled_from("aé’çœ…\u00a0\u0301🙂"), st.characters(codec="utf-8"))))
def test_plain_is_as_plain_as_it_gets(text):
    """
    To do it twice changes nothing, and what is all GSM-7 is not touched.
    """
    once = in_plain_characters(text)

    assert once == in_plain_characters(once)
    assert needs_ucs2(text) or text == once
    assert set(count_segments(once).costly) <= set(once)
