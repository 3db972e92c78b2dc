"""A message that a test waits for, in any programming language."""

import asyncio
import contextlib
import re

from orange_sms_async.sandbox.orange.feed import Feed
from orange_sms_async.sandbox.orange.inbox import Inbox, Message

# Four to eight digits, or two groups of three; no part of a longer number.
_CODE = re.compile(r"(?<![\d+])(?:\d{3}[ -]\d{3}|\d{4,8})(?!\d)")


def code_in(text: str) -> str | None:
    """Return the digits of the first one-time code in a text."""
    found = _CODE.search(text)
    return re.sub(r"\D", "", found[0]) if found else None


async def awaited(
    inbox: Inbox, events: Feed, *, to: str, text: str, after: int, timeout: float, coded: bool
) -> Message:
    """
    Return the newest matching message, as soon as there is one.

    Args:
        inbox: where it arrives.
        events: say when to look again.
        to: the recipient's number, in any spelling; empty for any recipient.
        text: what its text must contain, in upper or lower case.
        after: the number of a message; only newer ones match.
        timeout: seconds.
        coded: whether it must contain a one-time code.

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
