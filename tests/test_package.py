"""What is published, and what GitHub runs for it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_zizmor_finds_nothing():
    """
    No action without a hash, no permission that is not needed, no input in a script.
    """
    command = (Path(sys.executable).with_name("zizmor"), "--offline", "--persona=pedantic")

    done = subprocess.run([*command, ROOT / ".github"], capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_and_permissions_given_one_by_one(workflow):
    text = workflow.read_text(encoding="utf-8")

    used = re.findall(r"uses: (.*)", text)
    assert used
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", one) for one in used)
    assert "\npermissions: {}\n" in text


def test_every_make_target_of_a_workflow_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    files = [*WORKFLOWS, ROOT / ".readthedocs.yaml"]
    asked = {target for path in files for target in re.findall(r"make (\w+)", path.read_text())}

    assert asked <= targets


def test_constraints_are_sorted_and_dated():
    """
    As `make constraints` writes them, one version a line.
    """
    first, *lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()

    assert re.fullmatch(r"# Written by `make constraints` on \d{4}-\d\d-\d\d\.", first)
    assert sorted(lines, key=str.lower) == lines
    assert all(re.fullmatch(r"[\w.-]+==[\w.+!]+", line) for line in lines)


def metadata(**environment):
    """What the package says of itself, built where GitHub's variables are set so."""
    return json.loads(
        subprocess.run(
            [sys.executable, "-m", "hatchling", "metadata", "--compact"],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], **environment},
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
    )


def test_every_link_works_where_it_is_published():
    """
    Of the README, too: each leads to a file of this version, and the picture to its content.
    """
    said = metadata(GITHUB_REPOSITORY="some/one", GITHUB_REF_NAME="v1.2.3")
    links = re.findall(r"\]\((.*?)\)", said["readme"]["text"])
    ours = [link for link in links if "some/one" in link]
    files = [re.sub("#.*", "", link.partition("/v1.2.3/")[2]) for link in ours]

    assert not [link for link in links if not link.startswith("https://")]
    assert all((ROOT / file).is_file() for file in files)
    assert [link for link in ours if "/raw/" in link] == [link for link in ours if "svg" in link]
    assert {"Source", "Documentation", "Changelog", "Issues"} < said["urls"].keys()


def test_links_of_a_clone_stay_relative():
    said = metadata()

    assert said["readme"]["text"] == (ROOT / "README.md").read_text(encoding="utf-8")
    assert ["Orange's API"] == [*said["urls"]]
