"""How many units a text costs."""

import pytest

from orange_sms_async.sandbox.orange.units import count


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("a" * 152 + "€" + "a" * 152, 3),  # the escaped character moves whole to the next part
        ("à" * 160, 1),
        ("ê" * 70, 1),
        ("ê" * 71, 2),
        ("ê" * 134, 2),
        ("ê" * 135, 3),
        ("🙂" * 35, 1),
        ("🙂" * 36, 2),
        ("ê" * 66 + "🙂" + "ê" * 66, 3),
    ],
)
def test_segments(text, segments):
    """
    160 or 153 GSM-7 characters, 70 or 67 of UCS-2; two for the extension table and for emoji.
    """
    assert segments == count(text)
