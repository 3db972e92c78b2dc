"""What the log of a queue says, and in which fields."""

import logging

from line import Line, named

from orange_sms_async import AuthenticationFailed, ConnectionFailed, SendQueue


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
