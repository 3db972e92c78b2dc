"""docs/commands.md tells of every command, each option and each exit code."""

import re
from pathlib import Path

import pytest
import typer

from orange_sms_async.cli.commands import app
from orange_sms_async.cli.exits import ExitCode

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
GROUP = typer.main.get_command(app)


def commands(group, *path):
    """Yield each command and what one types for it, those of a group included."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *path, name)
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(commands(GROUP))


def section(name):
    first = name.partition(" ")[0]
    return re.search(rf"^## `orange-sms {first}.*?(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_and_all_its_options_are_described(name):
    """
    In a section of its own or of its group, each option between backticks.
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
    assert f"`orange-sms {name}" in found[0]
    assert [] == [option for option in options if f"`{option}" not in found[0]]


def test_no_command_or_option_is_described_that_does_not_exist():
    options = {
        option
        for command in (GROUP, *COMMANDS.values())
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    described = set(re.findall(r"`(--[a-z-]+)", PAGE))

    named = set(re.findall(r"^\| `orange-sms ([a-z]+ [a-z]+)", PAGE, re.MULTILINE))

    assert (
        set(re.findall(r"^## `orange-sms ([a-z]+)", PAGE, re.MULTILINE))
        == vars(GROUP)["commands"].keys()
    )
    assert named == {name for name in COMMANDS if " " in name}
    assert described <= options | {"--install-completion", "--show-completion", "--help"}


def test_every_exit_code_is_described():
    assert [str(int(code)) for code in ExitCode] == re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)
