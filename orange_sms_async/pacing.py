"""When the next request may leave."""

import asyncio
import gc
import math
from collections import deque
from collections.abc import Callable, Hashable
from contextvars import ContextVar
from weakref import WeakValueDictionary

from aiolimiter import AsyncLimiter

from orange_sms_async.errors import TooLate
from orange_sms_async.remembered import Remembered, of_process

# How much further apart slots are than the bare rate asks, as a share. On the wire, two requests
# drift against each other; this guard keeps a sixth out of the server's second.
_START, _FLOOR, _CAP = 0.01, 0.003, 0.12
_RISE, _FALL = 0.01, 2e-5
# A server that admits one request per 1/rate (a "spike arrest") refuses at the slightest drift. At
# the cap it still throttles; only a much wider spacing helps.
_SPIKE_CAP, _SPIKE_FALL = 0.60, 5e-5
_FEW, _REMEMBERED = 5, 100
_HOLD = 0.25  # seconds without a request after a throttled one
_LATE = 0.5  # an answer this many seconds later than usual means a delayed request
_LATENESS = 0.1  # seconds of lateness that are made up for; at a slow rate, one slot's worth
_FAST = 10.0  # requests a second above which only the limiter measures lateness
# A spike arrest refuses the slots that make up for lateness. So slots that come `_CLOSER` seconds
# too close are watched. If `_REFUSED` of the last `_LOOKED_AT` were refused while even slots were
# taken, lateness is not made up for until `_AGAIN_AFTER` requests were accepted.
_CLOSER = 0.005
_REFUSED, _LOOKED_AT, _AGAIN_AFTER = 3, 20, 500


class Pacer:
    """
    Spaces requests so that no rolling second holds more than `rate` of them.

    Slots come evenly, not in bursts, because Orange says "5 SMS per second" and not how it counts:
    even spacing is right for a rolling second, a calendar second, a bucket and a spike arrest.
    Each throttled answer widens the spacing a little, each accepted one narrows it again.

    Slots follow a schedule, not the last slot. If a busy event loop was late with one, the next
    comes sooner, as long as every rolling second holds at most `rate` departures.

    Args:
        rate: requests a second; `math.inf` paces nothing.

    Raises:
        ValueError: `rate` is not above 0.

    Attributes:
        rate: as given.
        account: what this process remembers of the account.
        left_at: when the last requests left, on the loop's clock, as far as clients report it.
        leaving: requests that have had their slot and may still leave at any time.
    """

    def __init__(self, rate: float = 5.0) -> None:
        if not rate > 0:
            raise ValueError("rate: requests a second, above 0")
        self.rate = rate
        self.account = Remembered()
        self._guard = _START
        self._cap, self._fall = _CAP, _FALL
        self._throttled = deque[bool](maxlen=_REMEMBERED)
        self._usual = 0.0  # seconds from a slot to its answer
        self._most = 0 if math.isinf(rate) else math.ceil(rate)
        self.left_at = deque[float](maxlen=self._most)
        self.leaving = 0
        self._slots = deque[float](maxlen=self._most)
        self._lateness = max(1 / rate, _LATENESS)
        self._close = deque[float](maxlen=_REMEMBERED + self._most)  # slots that came too close
        self._close_refused = deque[bool](maxlen=_LOOKED_AT)
        self._even_refused = deque[bool](maxlen=_REMEMBERED)
        self._evenly = 0  # requests to be accepted before lateness is made up for again
        self._was_too_close = False
        self._due = -math.inf
        self._held_until = self._widened_at = self._straggled_at = -math.inf
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def guard(self) -> float:
        """How much further apart slots are now than the bare rate asks, as a share."""
        return self._guard

    @guard.setter
    def guard(self, learned: float) -> None:
        # The limiter changes with the next slot, as with any other widening.
        self._guard = min(max(_FLOOR, learned), _SPIKE_CAP)
        if learned > _CAP:
            self._cap, self._fall = _SPIKE_CAP, _SPIKE_FALL

    @property
    def pace(self) -> float:
        """Slots a second, as spaced now."""
        return self.rate / (1 + self._guard)

    @property
    def _bucket(self) -> float:
        # How many slots may come at once, after the most lateness that is made up for.
        # `_not_before` makes sure that no second holds too many of them.
        return 1 if self._evenly else 1 + self.rate * self._lateness

    async def slot(self) -> float:
        """Wait for the next slot, which is never given back; return the loop's time then."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._move_to(loop)
        if math.isinf(self.rate):
            return loop.time()
        # Only one task waits in the limiter, and only that task changes the pace, when it has its
        # slot: swapping limiters while another task waits would let a burst through.
        async with self._turn:
            # The queue was idle, not late. At a slow rate, idle time is not made up for.
            forget = self.rate <= _FAST and loop.time() >= self._due
            if not forget:
                await self._limiter.acquire()
            while (wait := self._not_before() - loop.time()) > 0:
                forget = forget or loop.time() < self._held_until
                await asyncio.sleep(wait)
            return await self._grant(loop.time(), forget)

    async def _grant(self, now: float, forget: bool) -> float:
        apart = 1 / self.pace
        # A spike arrest refuses even a request that is a millisecond too close. So at a slow rate,
        # a little lateness is forgotten: each slot that makes up for more is recognised as close.
        forget = forget or (self.rate <= _FAST and now - self._due <= _CLOSER)
        late = 0.0 if forget or self._evenly else min(max(0.0, now - self._due), self._lateness)
        if forget or self._spaced_by != self.pace:
            self._space()
            await self._limiter.acquire(self._bucket - late * self.pace)
        if self._slots and now - self._slots[-1] < apart - _CLOSER:
            self._close.append(now)
        self._due = now - late + apart
        self._slots.append(now)
        return now

    def hold(self, seconds: float) -> None:
        """Give no slot for this many seconds, from now on."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._move_to(loop)
        self._held_until = max(self._held_until, loop.time() + seconds)

    def _not_before(self) -> float:
        # A slot is when a request may leave. It may leave later: in a busy process, or when it
        # opens its connection first. So a slot also waits until fewer than `rate` other requests
        # have left within a second or may still leave.
        second, times = 1 + self._guard, [self._held_until]
        recent = self._most - self.leaving
        if recent <= 0:
            times.append(asyncio.get_running_loop().time() + 1 / self.rate)
        elif 0 < recent <= len(self.left_at):
            times.append(self.left_at[-recent] + second)
        if len(self._slots) == self._most:  # a client may not report departures
            times.append(self._slots[0] + 1 + _FLOOR)
        return max(times)

    def _move_to(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is not None and self._loop.is_running():
            raise RuntimeError("this account is paced in another event loop, which still runs")
        # A second `asyncio.run` keeps its distance from the last slot of the first.
        now, distance = loop.time(), 0.0 if self._loop is None else 1 / self.pace
        self._held_until = now + distance
        self._widened_at = self._straggled_at = -math.inf
        self._loop, self._turn = loop, asyncio.Lock()
        for times in (self.left_at, self._slots):
            if times and times[-1] > now:  # the new loop has a clock of its own, as in tests
                times.clear()
        self.leaving, self._due = 0, -math.inf
        if not math.isinf(self.rate):
            self._space()

    def _space(self) -> None:
        self._spaced_by = self.pace
        self._limiter = AsyncLimiter(self._bucket, self._bucket / self.pace)

    def accepted(self, slot: float) -> None:
        """Orange accepted this slot's request: space slots a little closer again."""
        if math.isinf(self.rate):
            return
        self._answered(slot, throttled=False)
        self._guard = max(_FLOOR, self._guard - self._fall)
        self._evenly = max(0, self._evenly - 1)
        if len(self._close_refused) == _LOOKED_AT and not any(self._close_refused):
            self._was_too_close = False

    def throttled(self, slot: float) -> None:
        """Orange throttled this slot's request: hold, and space slots further apart."""
        now = self._answered(slot, throttled=True)
        if self._too_close(slot):
            return  # making up for lateness caused it: no spacing is wide enough for that
        self.hold(_HOLD)
        if slot < self._widened_at:
            return  # it left before the last widening, and so says nothing about the new spacing
        often = sum(self._throttled)
        if now - self._straggled_at < 1 and often <= _FEW:
            return  # the straggler caused this, too
        self._widened_at = now
        if self._guard + _RISE >= self._cap and often > _FEW:
            self._cap, self._fall = _SPIKE_CAP, _SPIKE_FALL
        self._guard = min(self._cap, self._guard + _RISE)

    def _too_close(self, slot: float) -> bool:
        """Tell whether a slot was refused for being close; after several, make up no lateness."""
        even = self._even_refused
        # The limit is one in twenty of the even slots. Two refusals among a few say nothing yet.
        if slot not in self._close or sum(even) * 20 > max(40, len(even)):
            return False
        # If close slots were refused before, one more refusal is enough: the reason is the same.
        if sum(self._close_refused) >= (1 if self._was_too_close else _REFUSED):
            self._evenly, self._was_too_close = _AGAIN_AFTER, True
            self._close_refused.clear()
        return True

    def _answered(self, slot: float, *, throttled: bool) -> float:
        now = asyncio.get_running_loop().time()
        took = now - slot
        self._throttled.append(throttled)
        (self._close_refused if slot in self._close else self._even_refused).append(throttled)
        # The mean counts from the first answer on: if all answers are slow, none is late.
        self._usual += (took - self._usual) / len(self._throttled)
        if took > self._usual + _LATE:
            self._straggled_at = now
        return now


_of_accounts: WeakValueDictionary[Hashable, Pacer] = WeakValueDictionary()


def of_account(account: Hashable, rate: float) -> Pacer:
    """
    Return the pacer of an account, which lives as long as someone in this process holds it.

    Args:
        account: identifies the account.
        rate: its requests a second.

    Raises:
        ValueError: it is already paced at another rate.
    """
    pacer = _of_accounts.setdefault(account, Pacer(rate))
    if pacer.rate != rate:
        rates = f"this account is paced at {pacer.rate:g} a second already, not {rate:g}"
        del pacer
        gc.collect()  # its owner may be gone, and not collected yet
        pacer = _of_accounts.setdefault(account, Pacer(rate))
        if pacer.rate != rate:
            raise ValueError(f"rate: {rates}")
    pacer.account = of_process(account)
    return pacer


class Departure:
    """
    One request, from its slot until it leaves.

    A client that knows when a request really leaves reports it here. For other clients, a request
    departs at its slot.

    Attributes:
        too_late: whether it was stopped from leaving because it was too late.
    """

    def __init__(self, pacer: Pacer) -> None:
        self._pacer = pacer
        self._counted = self._over = False
        self._on_left: Callable[[], object] | None = None
        self._is_late: Callable[[], bool] = bool
        self.too_late = False
        self._count(True)  # the task that attempts it does not start at once

    def begin(self, on_left: Callable[[], object], is_late: Callable[[], bool] = bool) -> None:
        """
        Begin the attempt. From now on the request counts only if the client calls `expect`.

        Args:
            on_left: called once, when the request leaves or is known to have left.
            is_late: called just before it leaves; if it returns True, the request does not leave.
        """
        self._on_left, self._is_late = on_left, is_late
        self._count(False)

    def expect(self) -> None:
        """Count the request as one that may leave at any time, until `tell` is called."""
        if not self._over:
            self._count(True)

    def tell(self) -> None:
        """
        Count the request as leaving now.

        Raises:
            TooLate: it may no longer leave.
        """
        if self._is_late():
            self.too_late = True
            raise TooLate("its time ran out before it could leave")
        if self._counted:
            self._pacer.left_at.append(asyncio.get_running_loop().time())
        self.over()
        self.left()

    def left(self) -> None:
        """Note that the request has left, unless that was noted before."""
        on_left, self._on_left = self._on_left, None
        if on_left:
            on_left()

    def over(self) -> None:
        """Stop expecting the request: it has left, or it never will."""
        self._over = True
        self._count(False)

    def _count(self, counted: bool) -> None:
        self._pacer.leaving += counted - self._counted
        self._counted = counted


departure: ContextVar[Departure | None] = ContextVar("departure", default=None)
"""The current attempt's departure, if a queue paces it."""
