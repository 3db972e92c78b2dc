"""What this process remembers about an account, for as long as it lives."""

import asyncio
import math
from collections import deque
from collections.abc import Hashable

import attrs

from orange_sms_async.errors import Throttled
from orange_sms_async.receipts import REPORTED_WITHIN, DeliveryReceipt

# Orange answers 429 to more than 50 token requests a minute. The extra second is for the network.
_TOKENS, _MINUTE = 50, 61.0
_HOUR = 3600.0


class Remembered:
    """When tokens of an account were requested, and which numbers got messages within a day."""

    def __init__(self) -> None:
        self._asked_at = deque[float](maxlen=_TOKENS)
        # Hashes of numbers, by hour and outbox: a time for each would take three times the memory.
        self._hours = deque[tuple[float, dict[Hashable, set[int]]]]()

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
            place: the outbox it waited in; None if it waited in none.
        """
        now = asyncio.get_running_loop().time()
        self._forget(now)
        if not self._hours or now - self._hours[-1][0] >= _HOUR:
            self._hours.append((now, {}))
        self._hours[-1][1].setdefault(place, set()).add(hash(to))

    def as_kept(self, receipt: DeliveryReceipt, place: Hashable) -> DeliveryReceipt:
        """
        Remove the number from a receipt whose message may have left from elsewhere in this process.

        This outbox, in this process or a later one, then matches it by its resource id alone.

        Args:
            receipt: the receipt as it came.
            place: the outbox that is about to store it.
        """
        self._forget(asyncio.get_running_loop().time())
        number = hash(receipt.address.removeprefix("tel:"))
        elsewhere = any(
            number in numbers
            for _, places in self._hours
            for where, numbers in places.items()
            if where != place
        )
        return attrs.evolve(receipt, address="") if elsewhere else receipt

    def _forget(self, now: float) -> None:
        if self._hours and self._hours[-1][0] > now:  # another loop's clock, as in tests
            self._hours.clear()
        while self._hours and now - self._hours[0][0] >= _HOUR + REPORTED_WITHIN:
            self._hours.popleft()


_accounts: dict[Hashable, Remembered] = {}


def of_process(account: Hashable) -> Remembered:
    """
    Return what this process remembers about an account, for as long as it lives.

    Args:
        account: identifies the account.
    """
    return _accounts.setdefault(account, Remembered())
