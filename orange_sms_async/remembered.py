"""What this process remembers about an account, for as long as it lives."""

import asyncio
import math
from array import array
from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Hashable

import attrs

from orange_sms_async.errors import Throttled
from orange_sms_async.receipts import REPORTED_WITHIN, DeliveryReceipt

# Orange answers 429 to more than 50 token requests a minute. The extra second is for the network.
_TOKENS, _MINUTE = 50, 61.0
_HOUR = 3600.0
_MANY = 4096  # numbers that are packed at once


class Remembered:
    """When tokens of an account were requested, and which numbers got messages within a day."""

    def __init__(self) -> None:
        self._asked_at = deque[float](maxlen=_TOKENS)
        self._since = -math.inf
        self._numbers = defaultdict[Hashable, set[int]](set)  # their hashes, by outbox
        # Earlier hashes, with the time when they were packed. A set takes eight times the memory.
        self._packed: deque[tuple[float, Hashable, array[int]]] = deque()

    def ask_for_token(self) -> None:
        """
        Count a request for a token.

        Raises:
            Throttled: it would be one too many. The caller learns this now, rather than wait.
        """
        now = asyncio.get_running_loop().time()
        if self._asked_at and self._asked_at[-1] > now:  # another loop's clock, as in tests
            self._asked_at.clear()
        if len(self._asked_at) == _TOKENS and (wait := self._asked_at[0] + _MINUTE - now) > 0:
            raise Throttled(f"{_TOKENS} tokens within a minute: the next in {math.ceil(wait)} s")
        self._asked_at.append(now)

    def sends(self, to: str, place: Hashable) -> None:
        """
        Note that a message is about to leave.

        Args:
            to: its number.
            place: the outbox it waited in; None without one.
        """
        now = self._now()
        numbers = self._numbers[place]
        numbers.add(hash(to))
        if len(numbers) == _MANY:
            self._pack(now)

    def as_kept(self, receipt: DeliveryReceipt, place: Hashable) -> DeliveryReceipt:
        """
        Remove the number from a receipt whose message may have left from elsewhere in this process.

        This outbox, in this process or a later one, then matches it by its resource id alone.

        Args:
            receipt: the receipt as it came.
            place: the outbox that is about to store it.
        """
        self._now()
        number = hash(receipt.address.removeprefix("tel:"))
        elsewhere = any(
            number in numbers for where, numbers in self._numbers.items() if where != place
        ) or any(_has(packed, number) for _, where, packed in self._packed if where != place)
        return attrs.evolve(receipt, address="") if elsewhere else receipt

    def _now(self) -> float:
        """Return the loop's time, once the numbers of an earlier hour are packed."""
        now = asyncio.get_running_loop().time()
        if not self._since <= now < self._since + _HOUR:
            self._pack(now)
        return now

    def _pack(self, now: float) -> None:
        if now < self._since:  # another loop's clock, as in tests
            self._numbers.clear()
            self._packed.clear()
        until = min(now, self._since + _HOUR)
        for place, numbers in self._numbers.items():
            self._packed.append((until, place, array("q", sorted(numbers))))
        self._numbers.clear()
        self._since = now
        while self._packed and now - self._packed[0][0] >= REPORTED_WITHIN:
            self._packed.popleft()


def _has(numbers: "array[int]", number: int) -> bool:
    place = bisect_left(numbers, number)
    return place < len(numbers) and numbers[place] == number


_accounts: dict[Hashable, Remembered] = {}


def of_process(account: Hashable) -> Remembered:
    """
    Return what this process remembers about an account, for as long as it lives.

    Args:
        account: identifies the account.
    """
    return _accounts.setdefault(account, Remembered())
