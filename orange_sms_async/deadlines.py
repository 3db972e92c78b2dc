"""Time limits that share one timer."""

import asyncio
import math
from types import TracebackType
from typing import cast


class Deadlines:
    """
    Limits how long blocks of code may take, in one event loop.

    `asyncio.timeout` does the same, but sets and cancels a timer for each block. That would be a
    twentieth of the work for a message sent over aiohttp.
    """

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.limits = set[Limit]()
        self._next = math.inf

    def add(self, limit: "Limit") -> None:
        """Watch a limit: cut its block if the block takes too long."""
        self.limits.add(limit)
        if limit.ends_at < self._next:
            self._look_at(limit.ends_at)

    def _look_at(self, time: float) -> None:
        self._next = time
        self.loop.call_at(time, self._look, time)

    def _look(self, time: float) -> None:
        if time != self._next:
            return  # another look was scheduled in its place
        late = {limit for limit in self.limits if limit.ends_at <= time}
        self.limits -= late
        for limit in late:
            limit.cut()
        self._next = math.inf
        if self.limits:
            self._look_at(min(limit.ends_at for limit in self.limits))


class Limit:
    """
    A context manager that ends its block with `TimeoutError` if the block takes too long.

    Args:
        deadlines: watches the limit.
        seconds: how long the block may take.
    """

    __slots__ = ("_cancelled", "_deadlines", "_late", "_task", "ends_at")

    def __init__(self, deadlines: Deadlines, seconds: float) -> None:
        self._deadlines, self.ends_at = deadlines, deadlines.loop.time() + seconds
        self._task = cast("asyncio.Task[object]", asyncio.current_task())
        self._cancelled, self._late = self._task.cancelling(), False

    def __enter__(self) -> None:
        self._deadlines.add(self)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._deadlines.limits.discard(self)
        # If someone else cancelled the task at the same time, it stays cancelled.
        only_late = self._late and self._task.uncancel() <= self._cancelled
        if only_late and isinstance(exc, asyncio.CancelledError):
            raise TimeoutError from exc

    def cut(self) -> None:
        """Cancel the block."""
        self._late = True
        self._task.cancel()
