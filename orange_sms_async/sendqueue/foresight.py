"""Estimates when the last message leaves, with what a gate will hold back until then."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

_Lane = TypeVar("_Lane", bound=Any)
Held = Callable[[_Lane, float], float]
"""Returns until when a lane is held back at a given time; that time itself if it is not."""
Told = Callable[[_Lane, float, float], object]

_STEP = 1800.0  # seconds: a shorter hold may be overlooked
_LEAST = 1e-6  # seconds, about the smallest that a date can tell apart
_FAR = 30 * 86_400.0  # seconds ahead, beyond which the gate is not asked


def end(
    waiting: Mapping[_Lane, int],
    pace: float,
    now: float,
    held: Held[_Lane],
    told: Told[_Lane] | None = None,
) -> float:
    """
    Return when the last waiting message leaves.

    Args:
        waiting: messages by lane. The most urgent lane has the lowest number.
        pace: messages a second.
        now: the time.
        held: what the gate says.
        told: called if a lane is held back: with the date it waits for, and the seconds that its
            messages will take.
    """
    left = {lane: many / pace for lane, many in waiting.items() if many}  # seconds
    at = now
    while left and at < now + _FAR:
        holding = {lane: held(lane, at) for lane in left}
        for each, until in holding.items():
            if told and until > at:
                told(each, until, left[each])
        leaving = [lane for lane in left if holding[lane] <= at]
        if not leaving:
            at = min(holding.values())
            continue
        lane = min(leaving)
        # A lane above that opens meanwhile goes first.
        opening = min((until for until in holding.values() if until > at), default=at + _STEP)
        step = min(at + left[lane], at + _STEP, opening)
        until = _open_until(lane, at, step, held)
        left[lane] -= until - at
        at = until
        if left[lane] <= _LEAST:
            del left[lane]
    return at + sum(left.values())


def _open_until(lane: _Lane, begin: float, end: float, held: Held[_Lane]) -> float:
    """Return until when a lane stays open, given that it is open at the start."""
    if held(lane, end) <= end:
        return end
    while end - begin > 1:
        middle = (begin + end) / 2
        begin, end = (middle, end) if held(lane, middle) <= middle else (begin, middle)
    return end
