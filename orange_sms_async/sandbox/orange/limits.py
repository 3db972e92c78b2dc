"""
Which requests a limit per second accepts, in four readings of such a limit.

Orange documents "TPS is limited to 5 SMS per second", but not how it counts. Each class is pure:
the caller gives the time, times never go back, and only accepted requests are remembered.
"""

import math
from collections import deque
from collections.abc import Callable
from typing import Protocol

import attrs

from orange_sms_async.sandbox.settings import ORANGE_RATE

# A request that comes exactly on time can look early, because floats are rounded.
ROUNDING = 1e-9

_positive = [attrs.validators.gt(0.0), attrs.validators.lt(math.inf)]


class Limit(Protocol):
    """Anything that says whether to accept a request that arrives now."""

    def admit(self, now: float) -> bool: ...


@attrs.define
class Rolling:
    """
    A limit for any second, wherever it begins: the strictest reading.

    Attributes:
        rate: requests a second; below one, the window is so long that one request fits in it.
        window: seconds.
    """

    rate: float = attrs.field(default=ORANGE_RATE, validator=_positive)
    window: float = attrs.field(default=1.0, validator=_positive)
    _admitted: deque[float] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._admitted = deque(maxlen=max(1, int(self.rate * self.window + ROUNDING)))
        self.window = max(self.window, 1 / self.rate)

    def admit(self, now: float) -> bool:
        full = len(self._admitted) == self._admitted.maxlen
        if full and now - self._admitted[0] < self.window - ROUNDING:
            return False
        self._admitted.append(now)
        return True


@attrs.define
class CalendarSecond:
    """
    A limit for each second of the clock: twice as many can pass around its boundary.

    Attributes:
        rate: requests a second.
    """

    rate: float = attrs.field(default=ORANGE_RATE, validator=_positive)
    _second: int | None = attrs.field(default=None, init=False, repr=False)
    _admitted: int = attrs.field(default=0, init=False, repr=False)

    def admit(self, now: float) -> bool:
        second = math.floor(now / max(1.0, 1 / self.rate))
        if second != self._second:
            self._second, self._admitted = second, 0
        if self._admitted >= max(1, int(self.rate)):
            return False
        self._admitted += 1
        return True


@attrs.define
class Bucket:
    """
    A bucket that holds one second's worth and refills at the rate: a burst, then an even flow.

    Attributes:
        rate: requests a second.
    """

    rate: float = attrs.field(default=ORANGE_RATE, validator=_positive)
    _left: float = attrs.field(init=False, repr=False)
    _filled_at: float = attrs.field(default=-math.inf, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._left = self._size

    @property
    def _size(self) -> float:
        return max(1.0, self.rate)

    def admit(self, now: float) -> bool:
        self._left = min(self._size, self._left + (now - self._filled_at) * self.rate)
        self._filled_at = now
        if self._left < 1 - ROUNDING:
            return False
        self._left -= 1
        return True


@attrs.define
class Spike:
    """
    One request per 1/rate seconds, as Apigee's spike arrest counts (inferred).

    Attributes:
        rate: requests a second.
    """

    rate: float = attrs.field(default=ORANGE_RATE, validator=_positive)
    _admitted_at: float = attrs.field(default=-math.inf, init=False, repr=False)

    def admit(self, now: float) -> bool:
        if now - self._admitted_at < 1 / self.rate - ROUNDING:
            return False
        self._admitted_at = now
        return True


LIMITS: dict[str, Callable[[float], Limit]] = {
    "rolling": Rolling,
    "calendar": CalendarSecond,
    "bucket": Bucket,
    "spike": Spike,
}
