"""The sandbox where its extra is not installed."""

import subprocess
import sys

import pytest

WITHOUT_STARLETTE = """
import sys

class NoStarlette:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "starlette":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NoStarlette())
try:
    import MODULE
except ImportError as error:
    print(error, type(error.__cause__).__name__, error.name, sep="\\n")
"""


@pytest.mark.parametrize("module", ["sandbox", "sandbox.settings", "sandbox.state_file"])
def test_without_starlette_one_line_says_what_to_install(module):
    """
    It is an ImportError, whatever of the sandbox is imported; the missing module is its cause.
    """
    program = WITHOUT_STARLETTE.replace("MODULE", f"orange_sms_async.{module}")
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    said, cause, missing = ended.stdout.splitlines()

    assert "the sandbox needs: pip install 'orange-sms-async[sandbox]'" == said
    assert ("ModuleNotFoundError", "starlette") == (cause, missing.partition(".")[0])
