"""The short form of `python tests/torture_fleet.py`: real processes, and a database that dies."""

import tempfile
from pathlib import Path

import pytest
from torture_fleet import Torture

pytestmark = pytest.mark.real_time


def test_nothing_is_lost_or_doubled_by_a_fleet_in_trouble():
    """
    Processes are killed and stopped, the database crashes and goes away; no second holds too many.
    """
    with tempfile.TemporaryDirectory(prefix="fleet-", ignore_cleanup_errors=True) as folder:
        figures = Torture(Path(folder), seed=3).run(kills=5, stops=2, restarts=1, away=1.2)

    assert [] == figures.violations
    assert figures.accepted > 100
