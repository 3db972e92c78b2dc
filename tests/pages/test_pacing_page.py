"""The table of docs/pacing.md is what its benchmark measures."""

import re
import subprocess
import sys

import pytest
from pages.written import DOCS, ROOT

PAGE = (DOCS / "pacing.md").read_text("utf-8")
ROW = re.compile(r"^\| (\w+) \| (.+) \| ([\d.]+)% \| ([\d.]+)% \| (\d) \|$", re.MULTILINE)
ROWS = {row[:2]: [float(figure) for figure in row[2:]] for row in ROW.findall(PAGE)}


def test_all_cases():
    """
    Three senders to four servers.
    """
    assert 12 == len(ROWS)


@pytest.mark.parametrize("server", ["Rolling", "Spike"])
def test_a_row(server):
    """
    One case, measured again: in virtual time it comes out the same.
    """
    program = f"""
import virtual_pace as pace
result = pace.measure(("0-100 ms", pace.{server}, "SendQueue"))
print(100 * result.goodput, 100 * result.throttled, result.most_left)
"""
    measured = subprocess.check_output(
        [sys.executable, "-c", program], cwd=ROOT / "benchmarks", text=True
    )

    assert ROWS[server, "SendQueue"] == pytest.approx([*map(float, measured.split())], abs=0.3)
