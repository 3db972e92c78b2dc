"""docs/commands.md tells of every command, each option and each exit code."""

import re
from pathlib import Path

import pytest
import typer

from orange_sms_async.cli import app
from orange_sms_async.cli.exits import ExitCode

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
COMMANDS = typer.main.get_command(app).commands


def section(name):
    return re.search(rf"^## `orange-sms {name}.*?(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_and_all_its_options_are_described(name):
    """
    In a section of its own, each option between backticks.
    """
    found = section(name)
    options = [
        option
        for parameter in COMMANDS[name].params
        if not getattr(parameter, "hidden", False)
        for option in parameter.opts
        if option.startswith("--") and option != "--help"
    ]

    assert found, f"no section on {name}"
    assert [] == [option for option in options if f"`{option}" not in found[0]]


def test_no_command_or_option_is_described_that_does_not_exist():
    options = {
        option
        for command in COMMANDS.values()
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    described = set(re.findall(r"`(--[a-z-]+)", PAGE))

    assert set(re.findall(r"^## `orange-sms ([a-z]+)", PAGE, re.MULTILINE)) == COMMANDS.keys()
    assert described <= options | {"--install-completion", "--show-completion", "--help"}


def test_every_exit_code_is_described():
    assert [str(int(code)) for code in ExitCode] == re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)
