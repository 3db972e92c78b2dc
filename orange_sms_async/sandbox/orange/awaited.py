"""A message that a test waits for, in whatever language the test is written."""

import asyncio
import contextlib
import re

from orange_sms_async.sandbox.orange.feed import Feed
from orange_sms_async.sandbox.orange.inbox import Inbox, Message

# Four to eight digits, or two groups of three; no part of a longer number.
_CODE = re.compile(r"(?<![\d+])(?:\d{3}[ -]\d{3}|\d{4,8})(?!\d)")


def code_in(text: str) -> str | None:
    """Give the digits of the first one-time code that a text holds."""
    found = _CODE.search(text)
    return re.sub(r"\D", "", found[0]) if found else None


async def awaited(
    inbox: Inbox, events: Feed, *, to: str, text: str, after: int, timeout: float, coded: bool
) -> Message:
    """
    Give the newest message that is asked for, as soon as there is one.

    Args:
        inbox: where it arrives.
        events: say when to look again.
        to: its recipient's number, in any spelling; empty for anybody's.
        text: what it holds, in any case of letters.
        after: the number of a message; what is asked for is newer.
        timeout: seconds.
        coded: whether it must hold a one-time code.

    Returns:
        The message.

    Raises:
        TimeoutError: none came in time, or the sandbox was closed.
    """
    digits, sought = re.sub(r"\D", "", to), text.casefold()
    async with asyncio.timeout(timeout), contextlib.aclosing(events.watch()) as news:
        async for _ in news:
            for message in inbox.newest_first():
                if message.number <= after:
                    break
                if _is_it(message, digits, sought, coded=coded):
                    return message
            after = max(after, inbox.last_number)
    raise TimeoutError


def _is_it(message: Message, digits: str, sought: str, *, coded: bool) -> bool:
    sent = message.sent
    return (
        digits in {"", sent.address.removeprefix("tel:+")}
        and sought in sent.text.casefold()
        and (not coded or code_in(sent.text) is not None)
    )
