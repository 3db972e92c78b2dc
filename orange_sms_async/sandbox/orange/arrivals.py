"""When messages arrived, accepted or not: the last minute, and the busiest second."""

import time
from collections import deque

import attrs

from orange_sms_async.sandbox.orange.limits import ROUNDING

_STRIP = 60.0  # seconds that are remembered, with at most `_MOST` arrivals
_MOST = 30_000


@attrs.define
class BusiestSecond:
    """
    The most arrivals in any second [t, t + 1), wherever it begins.

    Attributes:
        most: until now.
    """

    most: int = 0
    _recent: deque[float] = attrs.field(factory=deque, init=False, repr=False)

    def add(self, now: float) -> None:
        """Count an arrival; times never go back."""
        self._recent.append(now)
        while now - self._recent[0] >= 1 - ROUNDING:
            self._recent.popleft()
        self.most = max(self.most, len(self._recent))


@attrs.define
class Arrivals:
    """The arrivals of the last minute, by wall-clock time."""

    _recent: deque[tuple[float, int | None]] = attrs.field(
        factory=lambda: deque(maxlen=_MOST), init=False, repr=False
    )

    def add(self, moment: float, status: int | None) -> None:
        """Note an arrival, and what it was answered; None for no answer."""
        self._recent.append((moment, status))

    def clear(self) -> None:
        """Forget all arrivals."""
        self._recent.clear()

    def last_minute(self) -> list[tuple[float, int | None]]:
        """Return the time of each and the status of its answer, oldest first."""
        since = time.time() - _STRIP
        while self._recent and self._recent[0][0] < since:
            self._recent.popleft()
        return list(self._recent)
