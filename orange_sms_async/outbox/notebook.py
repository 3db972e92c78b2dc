"""The notes of rules, in memory: counts that lapse, and lists."""

import os
from collections import deque

import attrs


@attrs.define(eq=False)
class _Note:
    name: str
    member: str
    units: int
    until: float


class Notebook:
    """The notes of an outbox in memory."""

    def __init__(self) -> None:
        self._secret = os.urandom(32)
        self._totals = dict[str, int]()
        self._notes = dict[tuple[str, str], _Note]()
        self._of = dict[str, list[_Note]]()  # by member, while that may be given back
        self._lapsing = dict[float, deque[tuple[float, _Note]]]()  # by how long they count
        self._lists = dict[str, dict[str, None]]()

    async def secret(self) -> bytes:
        return self._secret

    async def take(
        self, name: str, member: str, units: int, *, most: int, within: float, now: float
    ) -> bool:
        self._lapse(now)
        note = self._notes.get((name, member))
        if note is None:
            if self._totals.get(name, 0) + units > most:
                return False
            note = self._notes[name, member] = _Note(name, member, units, 0.0)
            self._of.setdefault(member, []).append(note)
            self._totals[name] = self._totals.get(name, 0) + units
        note.until = now + within
        self._lapsing.setdefault(within, deque()).append((note.until, note))
        return True

    def _lapse(self, now: float) -> None:
        for lapsing in self._lapsing.values():
            while lapsing and lapsing[0][0] <= now:
                until, note = lapsing.popleft()
                if note.until == until:  # otherwise its time started again, or it was given back
                    self._drop(note)

    def _drop(self, note: _Note) -> None:
        note.until = 0.0
        self._totals[note.name] -= note.units
        if not self._totals[note.name]:
            del self._totals[note.name]
        if self._notes.get((note.name, note.member)) is note:
            del self._notes[note.name, note.member]
            self._of[note.member].remove(note)
            if not self._of[note.member]:
                del self._of[note.member]

    async def give_back(self, member: str) -> None:
        self.over(member, counts=False)

    def over(self, member: str, *, counts: bool) -> None:
        """Note that a member's message is finished: its count can no longer be given back."""
        for note in [*self._of.get(member, ())]:
            if counts:
                del self._notes[note.name, note.member]
            else:
                self._drop(note)
        self._of.pop(member, None)

    async def enter(self, name: str, members: list[str]) -> None:
        self._lists.setdefault(name, {}).update(dict.fromkeys(members))

    async def strike(self, name: str, member: str) -> None:
        self._lists.get(name, {}).pop(member, None)

    async def has(self, name: str, member: str) -> bool:
        return member in self._lists.get(name, ())

    async def members(self, name: str) -> list[str]:
        return list(self._lists.get(name, ()))
