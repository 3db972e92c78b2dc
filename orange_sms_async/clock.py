"""A clock that jumps: with nothing left to run, time moves to the next timer at once."""

import asyncio
import math
import selectors
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar, TypeVarTuple

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")
_Ready = list[tuple[selectors.SelectorKey, int]]

_FEW_DIGITS = 2.0**22  # seven weeks: beyond that, rounding loses a nanosecond


class JumpingClock:
    """
    Virtual time for tests. Calling it makes an event loop: pass it as a `loop_factory`.

    Each loop starts at the time where the previous one stopped. It waits for what runs in an
    executor (`SqliteOutbox`, `asyncio.to_thread`). It does not wait for sockets, other processes,
    or threads that you or `anyio` started: time would jump past their answers.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._epoch = time.time()

    def time(self) -> float:
        """Return the seconds that have passed, as the loop's own `time` does."""
        # Every call takes a nanosecond. If time stood still, rounding could leave a timer due
        # "in 1e-17 s" for ever, and a limiter that waits for it would spin.
        self._now += 1e-9 if self._now < _FEW_DIGITS else math.ulp(self._now)
        return self._now

    def wall_time(self) -> float:
        """Return the seconds since 1970: the real time at the start plus what has passed here."""
        return self._epoch + self._now

    def step(self, seconds: float) -> None:
        """Step only the wall clock, as if someone set it; a negative number sets it back."""
        self._epoch += seconds

    def jump(self, seconds: float) -> None:
        """
        Move time forward: the timers that are then due run next, in order.

        Args:
            seconds: how far.
        """
        self._now += seconds

    def __call__(self) -> "JumpingLoop":
        return JumpingLoop(self)


class _JumpingSelector(selectors.DefaultSelector):
    """Moves the clock to the next timer, where a selector would sleep until then."""

    def __init__(self, clock: JumpingClock) -> None:
        super().__init__()
        self._clock = clock
        self.away = 0  # executor calls under way: their end is an event, so time waits for it

    def select(self, timeout: float | None = None) -> _Ready:
        if timeout is None or self.away:
            return super().select(timeout)
        self._clock.jump(timeout)
        return super().select(0)


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop on its own clock, or on one that it shares with earlier loops."""

    def __init__(self, clock: JumpingClock | None = None) -> None:
        self._clock = clock or JumpingClock()
        self._jumping = _JumpingSelector(self._clock)
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._clock.time()

    def wall_time(self) -> float:
        return self._clock.wall_time()

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*_Ts], _T], *args: *_Ts
    ) -> asyncio.Future[_T]:
        future = super().run_in_executor(executor, func, *args)
        self._jumping.away += 1
        future.add_done_callback(self._back)
        return future

    async def shutdown_default_executor(
        self,
        timeout: float | None = None,  # noqa: ARG002 -- time would jump past it: there is none
    ) -> None:
        await super().shutdown_default_executor()

    def _back(self, _: object) -> None:
        self._jumping.away -= 1
