"""Numbers that options refuse, before anything is sent or served, and those that help names."""

import pytest

from orange_sms_async.cli import receipts

RATE = "a number from 0.0001 to 1,000,000 (messages a second), or off"
SECONDS = "a number from 0 to 31,536,000 (seconds)"
PATIENCE = SECONDS.replace("0", "0.1", 1)
OPTIONS = {
    "bulk rows.csv --patience": PATIENCE,
    "bulk rows.csv --rate": RATE,
    "bulk rows.csv --receipts-wait": SECONDS,
    "check rows.csv --rate": RATE,
    "sandbox --jitter": SECONDS,
    "sandbox --latency": SECONDS,
    "sandbox --rate": RATE,
    "sandbox --receipt-delay": SECONDS,
    "sandbox --token-lifetime": SECONDS,
    "send +2250700000001 Bonjour --wait": SECONDS,
}


NONSENSE = [
    (option, number)
    for option in OPTIONS
    for number in ("nan", "1e300", "-1", "1,5", "1e-300" if "rate" in option else "inf")
]


@pytest.mark.parametrize(("option", "number"), NONSENSE)
def test_a_number_that_makes_no_sense(invoke, option, number):
    """
    One line names the option, and what it takes.
    """
    ended = invoke(*option.split(), number)

    assert 2 == ended.exit_code
    assert f"Error: {option.split()[-1]}: {OPTIONS[option]}. See" in ended.stderr


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("receipts", f"Every {receipts._EVERY:g} seconds"),
        ("work", "Finished messages are deleted after 30 days"),
    ],
)
def test_help_says_how_often_and_how_long(invoke, command, words):
    assert words in " ".join(invoke(command, "--help").output.split())
