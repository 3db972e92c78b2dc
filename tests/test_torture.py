"""The short form of `python tests/torture.py`: real processes, a real server, real kills."""

import pytest
from torture import Torture


@pytest.mark.parametrize("faults", [False, True], ids=["well", "faulty"])
def test_nothing_is_lost_or_doubled_by_a_killed_campaign(tmp_path, faults):
    """
    What was admitted is sent once, or said to be unknown, whenever its process is killed.
    """
    figures = Torture(tmp_path, seed=4).run(kills=5 if faults else 10, faults=faults)

    assert [] == figures.violations
    assert 0 < figures.accepted <= figures.admitted
