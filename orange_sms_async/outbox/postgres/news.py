"""Which awaited messages to ask for, and what is new in the answer."""

import itertools
from collections.abc import Collection, Iterator

from orange_sms_async.outbox.postgres.connecting import boot_time
from orange_sms_async.outcomes import Outcome, Priority

_HEADS = 100  # of each lane: lanes are first in, first out
_MORE = 100  # of all others, asked for in turn: scheduled ones, and those submitted before
_LONGEST = 1.0  # seconds between two questions, at least
_SHORTEST = 0.25


class News:
    """What to ask for and when, and what was reported already."""

    def __init__(self) -> None:
        self._lanes: dict[str, Priority] = {}
        self._told: dict[str, object] = {}
        self._next, self._pause = 0.0, _SHORTEST
        self._turn = 0

    def submitted(self, reference: str, priority: Priority | None) -> None:
        """Remember the lane of a message; None for a scheduled one."""
        if priority is not None:
            self._lanes[reference] = priority
        if priority is Priority.URGENT or len(self._lanes) == 1:
            self._pause = _SHORTEST
            self._next = min(self._next, boot_time() + _SHORTEST)

    def to_ask(self, awaited: Collection[str]) -> list[str]:
        """Return the references to ask for now; none if it is too early."""
        if not awaited or boot_time() < self._next:
            return []
        self._next, self._pause = boot_time() + self._pause, min(_LONGEST, self._pause * 2)
        wanted = set(awaited)
        for gone in self._lanes.keys() - wanted:
            del self._lanes[gone]
        for gone in self._told.keys() - wanted:
            del self._told[gone]
        heads = [*self._heads()]
        return [*heads, *self._others(awaited, set(heads))]

    def _heads(self) -> Iterator[str]:
        for lane in Priority:
            waiting = (it for it, priority in self._lanes.items() if priority is lane)
            yield from itertools.islice(waiting, _HEADS)

    def _others(self, awaited: Collection[str], heads: set[str]) -> list[str]:
        others = [reference for reference in awaited if reference not in heads]
        if not others:
            return []
        begin = self._turn % len(others)
        self._turn = begin + _MORE
        return (others[begin:] + others[:begin])[:_MORE]

    def new(self, found: list[Outcome]) -> list[Outcome]:
        """Pick what is finished and was not reported before."""
        news = [
            it for it in found if it.state.finished and self._told.get(it.reference) != _gist(it)
        ]
        for outcome in news:
            self.told(outcome)
        return news

    def told(self, outcome: Outcome) -> None:
        """Remember that a result is known here, and need not be asked for among the first."""
        self._told[outcome.reference] = _gist(outcome)
        self._lanes.pop(outcome.reference, None)


def _gist(outcome: Outcome) -> object:
    # Two errors are never equal, whatever they say.
    return outcome.state, outcome.resource_id, outcome.settled_by, outcome.delivery
