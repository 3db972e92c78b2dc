"""Nothing that a user can name is missing from the documentation."""

import re

import attrs
import click
import pytest
import typer
from pages.written import DOCS, FRENCH, PAGES, blocks, headings, name

import orange_sms_async
from orange_sms_async import (
    Contract,
    OrangeSMSError,
    PurchaseOrder,
    UsageStatistics,
    errors,
    events,
)
from orange_sms_async.cli.commands import app

ERRORS = [
    kind.__name__
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, OrangeSMSError)
]
EVENTS = [
    kind.__name__
    for kind in vars(events).values()
    if isinstance(kind, type) and kind.__module__ == events.__name__
]
CODE = re.compile(r"^```.*?^```$|`[^`]*`", re.MULTILINE | re.DOTALL)
ENGLISH_LINK = re.compile(r"\[[^]]*\]\((?!docs/fr|[a-z]+\.md)[^)]*\)")
WRONG = re.compile(r".*(?:\w'\w|[^\s\d*/][;!?»](?!\w)| [:;!?»]|[a-zé]:\s|« ).*")
TEXT = {page: page.read_text("utf-8") for page in PAGES}


def commands(group, *path):
    """Yield each command and what one types for it, those of a group included."""
    for word in group.commands:
        command = group.get_command(click.Context(group), word)
        if hasattr(command, "commands"):
            yield from commands(command, *path, word)
        else:
            yield " ".join((*path, word)), command


COMMANDS = dict(commands(typer.main.get_command(app)))

OPTIONS = [
    (command, "|".join([*parameter.opts, *parameter.secondary_opts]))
    for command, found in COMMANDS.items()
    for parameter in found.params
    if parameter.param_type_name == "option" and not parameter.hidden
    if "--help" not in parameter.opts
]


@pytest.mark.parametrize("public", orange_sms_async.__all__)
def test_every_name_is_in_the_reference(public):
    """
    With its docstring, by the path a user imports it from.
    """
    assert f"\n::: orange_sms_async.{public}\n" in TEXT[DOCS / "reference.md"]


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_is_in_the_reference(event):
    """
    What a listener is told, and what the fields of it mean.
    """
    assert f"\n::: orange_sms_async.events.{event}\n" in TEXT[DOCS / "reference.md"]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("page", [DOCS / "errors.md", DOCS / "fr" / "errors.md"], ids=name)
def test_every_error_has_its_place(page, error):
    """
    A heading that names it, under which it is said what to do.
    """
    assert any(f"`{error}`" in words for _, words in headings(page))


@pytest.mark.parametrize("kind", [Contract, UsageStatistics, PurchaseOrder])
def test_every_field_of_the_account_is_said(kind):
    """
    Those without a docstring, too: Orange's names say what they are.
    """
    names = {field.name for field in attrs.fields(kind)}

    assert {name for name in names if f"`{name}`" in TEXT[DOCS / "account.md"]} == names


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_said(command):
    """
    As one types it.
    """
    assert any(f"orange-sms {command}" in text for text in TEXT.values())


@pytest.mark.parametrize(("command", "option"), OPTIONS)
def test_every_option_is_said(command, option):
    """
    On a page that speaks of its command; of a switch, either form.
    """
    whole = re.compile(rf"(?<![\w-])({option})(?![\w-])")

    assert any(f"orange-sms {command}" in text and whole.search(text) for text in TEXT.values())


@pytest.mark.parametrize("french", FRENCH, ids=name)
def test_french_keeps_up(french):
    """
    A French page has the headings of its English one, level by level, and the same code.
    """
    english = FRENCH[french]

    assert [level for level, _ in headings(english)] == [level for level, _ in headings(french)]
    assert [block.meaning for block in blocks(english)] == [
        block.meaning for block in blocks(french)
    ]


@pytest.mark.parametrize("french", FRENCH, ids=name)
def test_french_is_typeset(french):
    """
    No-break space before : ; ! ? and inside « », and curved apostrophes, but in code.
    """
    prose = CODE.sub("", TEXT[french])

    assert [] == WRONG.findall(ENGLISH_LINK.sub("", prose))
