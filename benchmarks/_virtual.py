"""Virtual time and a line to an imagined server, borrowed from the tests."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

# The tests are no package: they are found by the line above.
from line import Line, most_in_a_second, sms

from orange_sms_async.clock import JumpingLoop

__all__ = ["JumpingLoop", "Line", "most_in_a_second", "sms"]
