"""Ctrl-C and SIGTERM: the first asks for a clean end, the second ends at once."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from types import FrameType

from orange_sms_async.cli.exits import ExitCode


@contextlib.contextmanager
def interrupts_call(
    ask: Callable[[], object], *, leaving: Callable[[], object] = bool
) -> Iterator[None]:
    """Call `ask` in the event loop at the first signal; call `leaving` and end at the second."""
    loop = asyncio.get_running_loop()
    asked = False

    def caught(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            leaving()
            # No exception: it would surface in any line of the loop, which may catch it.
            os._exit(ExitCode.INTERRUPTED)
        asked = True
        loop.call_soon_threadsafe(ask)

    # Not loop.add_signal_handler: it does not exist on Windows, and this does on both.
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, caught) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
