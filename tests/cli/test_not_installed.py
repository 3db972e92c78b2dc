"""`orange-sms` where its extra, or a part of it, is not installed."""

import subprocess
import sys

import pytest

WITHOUT = """
import runpy
import sys
from importlib.metadata import entry_points


class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "MISSING":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Without())
"""
SCRIPT = 'entry_points(group="console_scripts")["orange-sms"].load()()'
MODULE = 'runpy.run_module("orange_sms_async.cli", run_name="__main__")'


@pytest.mark.parametrize("started", [SCRIPT, MODULE], ids=["script", "module"])
@pytest.mark.parametrize("missing", ["typer", "rich", "starlette", "uvicorn"])
def test_one_line_says_what_to_install(missing, started):
    """
    And 2, as for any wrong usage.
    """
    program = WITHOUT.replace("MISSING", missing) + started
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    said = f"Error: {missing} is missing: pip install 'orange-sms-async[cli]'\n"
    assert (2, "", said) == (ended.returncode, ended.stdout, ended.stderr)
