"""What a text costs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orange_sms_async import count_segments
from orange_sms_async.sandbox.orange.units import count
from orange_sms_async.segments import segments_of

EXTENSION = "\f^{}\\[~]|€"
# Much of what people write, and the characters that travel in twos.
TEXTS = st.text(st.one_of(st.sampled_from("aé \n" + EXTENSION + "çê🙂"), st.characters()))
LONG = st.builds(lambda text, times: text * times, TEXTS, st.integers(1, 60))


@pytest.mark.parametrize(
    ("text", "encoding", "segments", "room", "costly"),
    [
        ("", "GSM-7", 1, 160, ""),
        ("Bonjour", "GSM-7", 1, 153, ""),
        ("a" * 160, "GSM-7", 1, 0, ""),
        ("a" * 161, "GSM-7", 2, 145, ""),
        ("a" * 306, "GSM-7", 2, 0, ""),
        ("a" * 307, "GSM-7", 3, 152, ""),
        ("Où ça? À 5€ [déjà]", "UCS-2", 1, 52, "çÀ"),
        ("5€ [net] €", "GSM-7", 1, 146, "€[]"),
        ("€" * 80, "GSM-7", 1, 0, "€"),
        ("€" * 81, "GSM-7", 2, 143, "€"),
        ("a" * 152 + "€" + "a" * 152, "GSM-7", 3, 152, "€"),
        ("ê" * 70, "UCS-2", 1, 0, "ê"),
        ("ê" * 71, "UCS-2", 2, 63, "ê"),
        ("ê" * 135, "UCS-2", 3, 66, "ê"),
        ("🙂" * 35, "UCS-2", 1, 0, "🙂"),
        ("🙂" * 36, "UCS-2", 2, 61, "🙂"),
        ("ê" * 66 + "🙂" + "ê" * 66, "UCS-2", 3, 66, "ê🙂"),
        ("a" * 71 + "`", "UCS-2", 2, 62, "`"),
    ],
)
def test_cost(text, encoding, segments, room, costly):
    """
    160 or 153 septets, 70 or 67 units of UTF-16; no escape and no emoji is split.
    """
    counted = count_segments(text)

    assert (encoding, segments, room) == (counted.encoding, counted.segments, counted.room)
    assert costly == counted.costly


def test_the_alphabet():
    """
    GSM-7 has 127 characters and ten that count double.
    """
    one = [c for c in map(chr, range(0x3000)) if count_segments(c).room == 159]
    two = [c for c in map(chr, range(0x3000)) if count_segments(c).room == 158]

    assert 127 == len(one)
    assert set(EXTENSION) == set(two)


@given(LONG)
def test_the_room_is_what_there_is(text):
    """
    As many plain characters more as there is room cost nothing, one more costs an SMS.
    """
    counted = count_segments(text)
    filled = count_segments(text + "a" * counted.room)

    assert (counted.segments, 0) == (filled.segments, filled.room)
    assert counted.segments + 1 == count_segments(text + "a" * (counted.room + 1)).segments


@given(LONG, TEXTS)
def test_more_text_never_costs_less(text, more):
    """
    Segments are monotone.
    """
    assert count_segments(text).segments <= count_segments(text + more).segments


@given(LONG)
def test_no_segment_holds_more_than_140_bytes(text):
    """
    Those of several SMS hold a header too.
    """
    counted = count_segments(text)
    alone, joined = (160, 153) if counted.encoding == "GSM-7" else (70, 67)
    size = alone if counted.segments == 1 else joined

    assert 0 <= counted.room <= size
    assert len(text) + counted.room <= counted.segments * size


@given(LONG)
def test_two_who_count_agree(text):
    """
    The sandbox counts for itself, from the same standard; what counts in a hurry says the same.
    """
    assert count(text) == count_segments(text).segments == segments_of(text)
