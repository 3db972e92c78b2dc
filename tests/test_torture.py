"""The short form of the tortures: real processes, a real server, real kills."""

import pytest
import torture_damage
import torture_shared
from torture import Torture


@pytest.mark.parametrize("faults", [False, True], ids=["well", "faulty"])
def test_nothing_is_lost_or_doubled_by_a_killed_campaign(tmp_path, faults):
    """
    What was admitted is sent once, or said to be unknown, whenever its process is killed.
    """
    figures = Torture(tmp_path, seed=4).run(kills=4 if faults else 8, faults=faults)

    assert [] == figures.violations
    assert 0 < figures.accepted <= figures.admitted


def test_nothing_is_lost_or_doubled_by_what_happens_to_processes_of_one_file(tmp_path):
    """
    Four share it, and are killed; their disk is full, their clock set, and persons mislead them.
    """
    torture = torture_shared.Torture(tmp_path, seed=4)
    figures = torture.run(kills=3, fulls=1, persons=2, clocks=2)

    assert [] == figures.violations
    assert 0 < figures.accepted


def test_one_stopped_process_keeps_the_others_silent_and_loses_nothing(tmp_path):
    """
    Who has the turn keeps it, and goes on when it may.
    """
    figures = torture_shared.Torture(tmp_path, seed=4, rate=10).run(stops=1)

    assert [] == figures.violations
    assert 0 < figures.accepted == figures.admitted


def test_nothing_is_sent_again_from_a_damaged_file(tmp_path):
    """
    It is refused in words, or works.
    """
    figures = torture_damage.Torture(tmp_path, seed=4).run(files=6)

    assert [] == figures.violations
    assert 6 == figures.files
