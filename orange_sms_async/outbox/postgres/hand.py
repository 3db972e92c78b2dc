"""The claims that a process has in hand: on the wire, or claimed ahead of their slots."""

import math
from collections import deque
from collections.abc import Callable
from functools import partial

import attrs

from orange_sms_async.outbox import Claim
from orange_sms_async.outbox.postgres import rows
from orange_sms_async.outbox.postgres.connecting import boot_time
from orange_sms_async.outbox.postgres.rows import Row
from orange_sms_async.outcomes import Priority

_AHEAD = 0.05  # how many seconds' worth of messages are claimed at once
_SLOW, _LOOK_EVERY = 0.01, 10.0  # seconds
_LANES = len(Priority)


@attrs.frozen
class _Held:
    id: int
    since: float


class Hand:
    """Messages that are claimed and not yet settled or put back, some not yet handed out."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, int], _Held] = {}
        self.ahead = deque[Claim]()

    def take(self, row: Row, owner: str, leaves_by: float) -> None:
        claim = rows.claim(row, owner)
        claim.too_late = partial(_is_past, leaves_by, boot_time)
        self._held[claim.reference, claim.attempt] = _Held(row["id"], boot_time())
        self.ahead.append(claim)

    def drop(self, claim: Claim) -> None:
        self._held.pop((claim.reference, claim.attempt), None)

    @property
    def ids(self) -> list[int]:
        return [held.id for held in self._held.values()]

    def not_renewed_for(self, seconds: float) -> dict[int, tuple[str, int]]:
        """Return the ids of messages in hand for so long that their lease must be renewed."""
        before = boot_time() - seconds
        return {held.id: key for key, held in self._held.items() if held.since <= before}

    def renewed(self, keys: dict[int, tuple[str, int]]) -> None:
        now = boot_time()
        for id_, key in keys.items():
            if key in self._held:
                self._held[key] = _Held(id_, now)


def _is_past(time: float, clock: Callable[[], float]) -> bool:
    return clock() >= time


def at_once(rate: float) -> int:
    """Return how many messages to claim in one round trip."""
    return max(1, math.ceil(rate * _AHEAD))


class Floor:
    """
    For each lane, an id below which nothing waits. It is used while claims are slow without it.

    While any transaction stays open, PostgreSQL keeps the rows that were claimed since, and each
    claim would first walk over all of them. A transaction that is slow to commit may leave a
    message below the id: a look now and then finds it.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start again at the first row."""
        self._ids, self._looked_at = [0] * _LANES, boot_time()

    def begin(self, heads: dict[int, int], took: float) -> None:
        """Note the first id that waits in each lane, before anything is claimed."""
        self.forget()
        if took > _SLOW and heads:
            self._begin_at(heads)

    def claimed(self, claimed: list[Row], took: float) -> None:
        if took > _SLOW and claimed:
            self._begin_at({row["priority"]: row["id"] for row in reversed(claimed)})

    def _begin_at(self, first: dict[int, int]) -> None:
        # A message that enters a lane that is empty now has a higher id than all that wait now.
        last = max(first)
        for lane in range(last + 1):
            self._ids[lane] = first.get(lane, max(first.values()))

    @property
    def is_doubtful(self) -> bool:
        """Whether it is time to look for messages below the id."""
        return any(self._ids) and boot_time() > self._looked_at + _LOOK_EVERY

    def looked(self, heads: dict[int, int], took: float) -> None:
        """Note the first id that waits in each lane."""
        self._looked_at = boot_time()
        if took < _SLOW:
            self.forget()
        else:
            self._ids = [min(heads.get(lane, id_), id_) for lane, id_ in enumerate(self._ids)]

    @property
    def ids(self) -> list[int]:
        return list(self._ids)
