"""What the Containerfile says runs, as far as it can be run without an engine."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from cli.served import environment, served_sandbox

ROOT = Path(__file__).parents[2]
FILE = (ROOT / "Containerfile").read_text("utf-8")


def listed(instruction):
    """Give the words of an instruction in its JSON form."""
    return json.loads(re.findall(rf"{instruction}.*?(\[.*\])", FILE)[0])


@pytest.mark.real_time
@pytest.mark.parametrize("tls", [False, True])
def test_its_command_serves_and_its_check_is_content(tls, tmp_path):
    """
    The entry point listens for others, and the health check finds it healthy.
    """
    command, check = listed("ENTRYPOINT"), listed("HEALTHCHECK")
    assert ["orange-sms", "sandbox"] == command[:2]
    options = ["--tls", "--tls-ca", tmp_path / "ca.pem"] if tls else []
    with served_sandbox(*command[2:], *options) as served:
        port = served.url.rpartition(":")[2]
        code = check[2].replace("8025", port)
        healthy = subprocess.run([sys.executable, "-c", code], env=environment(), check=False)
    gone = subprocess.run(
        [sys.executable, "-c", code], env=environment(), check=False, capture_output=True
    )

    assert (0, 1) == (healthy.returncode, gone.returncode)


def test_what_it_copies_is_there():
    """
    And it runs as nobody.
    """
    copied = [
        word
        for line in FILE.splitlines()
        if line.startswith("COPY") and "--from" not in line
        for word in shlex.split(line)[1:-1]
    ]

    assert copied
    assert all((ROOT / name).exists() for name in copied)
    assert re.search(r"^USER [1-9]", FILE, re.MULTILINE)
