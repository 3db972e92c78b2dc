"""What the log says, at which level, and in which fields."""

import ast
import logging
import re
from pathlib import Path

import pytest
from line import Line, named, sms
from post import NUMBER, SECRET, Failing, Post

import orange_sms_async
from orange_sms_async import (
    AuthenticationFailed,
    ConnectionFailed,
    ReceiptReceiver,
    SendQueue,
)

OURS = Path(orange_sms_async.__file__).parent
PAGES = [OURS.parent / "docs" / page / "monitoring.md" for page in (".", "fr")]


def written():
    """Find each call of a logger in the library: its level, and the event in its function."""
    for path in OURS.rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                calls = [each.func for each in ast.walk(function) if isinstance(each, ast.Call)]
                levels = re.findall(r"(?<!\.)\b_log\.(\w+)", " ".join(map(ast.unparse, calls)))
                events = re.findall(r'"event": "(\w+)"', ast.unparse(function).replace("'", '"'))
                assert len(levels) == len(events), f"{path.name}: {function.name}"
                yield from zip([level.upper() for level in levels], events, strict=True)


@pytest.mark.parametrize("page", PAGES, ids=["en", "fr"])
def test_each_event_is_in_the_docs_with_its_level(page):
    """
    And no event that is not.
    """
    rows = re.findall(
        r"^\| (ERROR|WARNING|INFO) \| (.+?) \|", page.read_text("utf-8"), re.MULTILINE
    )
    told = {(level, event) for level, events in rows for event in re.findall(r"`(\w+)`", events)}

    assert {*written()} == told


async def test_records_have_fields_that_formatters_show(caplog):
    """
    One when nothing leaves, one when it goes on, one when the queue stops.
    """
    caplog.set_level(logging.INFO, "orange_sms_async")
    line = Line()
    line.answers.extend([ConnectionFailed(), ConnectionFailed(), None, AuthenticationFailed()])
    async with SendQueue(line) as queue:
        await queue.send(named("a"))
        queue.submit_nowait(named("b"))
        await queue.join()

    told = [(each.levelname, vars(each)) for each in caplog.records]
    fields = [(level, said["event"], said.get("reason"), said.get("error")) for level, said in told]
    assert [
        ("WARNING", "waiting", "line", "ConnectionFailed"),
        ("INFO", "going_on", "line", None),
        ("ERROR", "stopped", None, "AuthenticationFailed"),
    ] == fields


async def test_a_listener_that_raises_is_named_and_its_words_are_not(line, caplog):
    """
    They may hold a number.
    """

    def clumsy(_):
        raise ValueError("+2250799887766")

    async with SendQueue(line, on_outcome=clumsy) as queue:
        await queue.send(named("a"))

    [record] = caplog.records
    assert ("listener_failed", "ValueError") == (record.event, record.error)
    assert "+2250799887766" not in str(vars(record))


async def test_a_listener_that_nobody_awaits_is_named(line, caplog):
    """
    Where it could not be seen before.
    """

    async def late(_):
        """Never runs."""

    async with SendQueue(line, on_outcome=lambda outcome: late(outcome)) as queue:  # noqa: PLW0108
        await queue.send(sms("a"))

    [record] = caplog.records
    assert ("ERROR", "listener_not_awaited") == (record.levelname, record.event)


@pytest.mark.parametrize("event", ["callback_failed", "receipt_not_kept"])
async def test_a_receipt_that_makes_trouble_is_in_no_record(caplog, event):
    """
    Its number stays where it was; the record has the class of the error.
    """

    store = Failing() if event == "receipt_not_kept" else None
    receiver = ReceiptReceiver(Failing(), secret=SECRET, store=store)
    await Post().to(receiver)

    [record] = caplog.records
    assert ("ERROR", event) == (record.levelname, record.event)
    assert record.error in ("OSError", "LookupError")
    assert not [secret for secret in (NUMBER, SECRET) if secret in str(vars(record))]
