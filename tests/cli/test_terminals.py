"""What commands look like on narrow, plain and dumb terminals, and how a shell completes them."""

import asyncio
import os
import re

import pytest
from cli.served import COMMAND, environment

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def terminal(sandbox):
    """Run a command on a terminal of its own, and return what it wrote there."""

    async def terminal(*arguments, **settings):
        ours, theirs = os.openpty()
        settings = {"TERM": "xterm", "COLUMNS": "60"} | sandbox.environment | settings
        process = await asyncio.create_subprocess_exec(
            *(*COMMAND, *map(str, arguments)), env=environment(**settings), stdout=theirs
        )
        os.close(theirs)
        await process.wait()
        said = os.read(ours, 100_000).decode()
        os.close(ours)
        return said

    return terminal


@pytest.mark.real_time
async def test_sixty_columns(terminal, rows_file):
    """
    Every line fits, and no date, number or code is broken up.
    """
    path = rows_file("to,text\n+2250700000001,Bonjour\n+2250700000002,\n0700000001,x\n")
    commands = (("balance",), ("usage",), ("purchases",), ("check", path), ("segments", "ça"))
    said = [ESCAPE.sub("", await terminal(*command)) for command in commands]

    contract = r"^[A-Z]{3} +SMS_OCB2? +[\d,]+ +ACTIVE +[\d-]{10} +\d+\s*$"
    bundle = r"^[\d-]{10} [A-Z]{3} .* 725 [A-Z]{3} [\w*@.]+ [\d-]{10}\s*$"
    assert 60 >= max(len(line.rstrip()) for shown in said for line in shown.splitlines())
    assert 14 == len(re.findall(contract, said[0], re.MULTILINE))
    assert 14 == len(re.findall(bundle, said[2], re.MULTILINE))


@pytest.mark.real_time
async def test_no_colour_where_none_is_wanted(terminal):
    """
    NO_COLOR takes the colours, a dumb terminal gets no escape at all.
    """
    text = ("segments", "ça")
    colour, none, dumb = (
        await terminal(*text),
        await terminal(*text, NO_COLOR="1"),
        await terminal(*text, TERM="dumb"),
    )

    red = re.compile(r"\x1b\[[0-9;]*31m")
    assert red.search(colour)
    assert not red.search(none)
    assert not ESCAPE.search(dumb)
    assert ">ç<a" in dumb


@pytest.mark.real_time
async def test_a_dumb_terminal_gets_no_bar(terminal, rows_file):
    """
    One line a step.
    """
    path = rows_file("to,text\n+2250700000001,Bonjour\n")

    said = await terminal("bulk", path, "--rate", "off", TERM="dumb")

    assert "1/1" in said
    assert "━" not in said
    assert not ESCAPE.search(said)


def test_a_shell_completes_commands_and_options(run):
    """
    As bash asks, with what typer installs for it.
    """
    asked = {"_ORANGE_SMS_COMPLETE": "complete_bash", "COMP_WORDS": "orange-sms bulk --max"}
    options = run(settings=asked | {"COMP_CWORD": "2"})
    commands = run(settings=asked | {"COMP_WORDS": "orange-sms s", "COMP_CWORD": "1"})

    assert ["--max-units"] == options.stdout.split()
    assert {"send", "segments", "sandbox"} == set(commands.stdout.split())


def test_a_shell_is_told_how_to_complete(run):
    """
    The script goes to stdout; help and errors stay as plain as they were.
    """
    asked = {"_ORANGE_SMS_COMPLETE": "source_bash"}

    assert "complete -o default -F _orange_sms_completion orange-sms" in run(settings=asked).stdout
    assert "--install-completion" in run("--help").stdout
