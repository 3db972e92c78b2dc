"""Recent notes, in bounded memory."""

from typing import Generic, TypeVar

_Noted = TypeVar("_Noted")


class Recent(Generic[_Noted]):
    """
    Notes by reference; the oldest are forgotten once there are too many.

    Args:
        most: the greatest number kept. The newer half of that number is always kept.
    """

    # In two halves: a dict whose first key is deleted again and again is slow to find the next.

    def __init__(self, most: int = 20_000) -> None:  # more than an hour's at 5 a second
        self._half = most // 2
        self._young: dict[str, _Noted] = {}
        self._old: dict[str, _Noted] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def note(self, reference: str, noted: _Noted) -> None:
        self._young[reference] = noted
        if len(self._young) >= self._half:
            self._young, self._old = {}, self._young

    def get(self, reference: str) -> _Noted | None:
        found = self._young.get(reference)
        return self._old.get(reference) if found is None else found

    def forget(self, reference: str) -> None:
        self._young.pop(reference, None)
        self._old.pop(reference, None)
