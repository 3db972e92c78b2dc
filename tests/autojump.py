"""A loop whose clock jumps: with nothing left to run, time moves to the next timer at once."""

import asyncio
import selectors
from typing import Any


class _JumpingSelector(selectors.DefaultSelector):
    """Where a selector would sleep until the next timer, move the clock there instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.away = 0  # executor calls under way: their end is an event, so time waits for it

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None or self.away:
            return super().select(timeout)
        self.now += timeout
        return super().select(0)


class JumpingLoop(asyncio.SelectorEventLoop):
    """For in-process transports only: it does not wait for what another process does."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        # Every look costs a nanosecond: where time stands still, rounding can leave a timer due
        # "in 1e-17 s" for ever, and a limiter that waits for it turns in a circle.
        self._jumping.now += 1e-9
        return self._jumping.now

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        self._jumping.away += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(lambda _: setattr(self._jumping, "away", self._jumping.away - 1))
        return future
