"""Virtual time, a line to an imagined server and a campaign, borrowed from the tests."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

# The tests are not a package: the line above makes them importable.
from campaign import lived, orange, reminders, violations
from line import Line, most_in_a_second, sms

from orange_sms_async.clock import JumpingLoop

__all__ = [
    "JumpingLoop", "Line", "lived", "most_in_a_second", "orange", "reminders", "sms", "violations",
]  # fmt: skip
