"""Matches delivery receipts to those who wait for them."""

import asyncio
import math
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from datetime import timedelta
from weakref import WeakSet

import attrs

from orange_sms_async.receipts import REPORTED_WITHIN, DeliveryReceipt, rank

_MOST_OF_ONE = 100  # receipts remembered for one message
_BACKLOG = 10_000  # receipts a reader may be behind


@attrs.define(eq=False)
class _Page:
    """What Orange said about one message."""

    receipts: deque[DeliveryReceipt]
    furthest: DeliveryReceipt
    written: float = -math.inf


@attrs.frozen(kw_only=True)
class BookStatistics:
    """
    A book at one moment.

    Attributes:
        messages: those with remembered receipts. All receipts without a resource id count as one.
        receipts: those remembered.
        waiting: calls of `delivered` that wait.
        readers: loops over the book.
        duplicates: receipts that said nothing new, since the book was made.
        missed: receipts dropped because a reader was too slow, summed over all readers.
    """

    messages: int
    receipts: int
    waiting: int
    readers: int
    duplicates: int
    missed: int


class ReceiptBook:
    """
    Matches receipts to messages: in any order, duplicated, or before anyone waits for them.

    Give `book.add` to a `ReceiptReceiver` as its `on_receipt`. Use a book in one event loop;
    `history` and `furthest` may be called from threads.

    `async for receipt in book` yields each receipt once, as it arrives from then on, without end.
    Each loop reads on its own. A loop that is 10,000 receipts behind misses the oldest, which
    `statistics` counts.

    Args:
        max_age: how long a message is remembered after its last new receipt, on the loop's clock.
        capacity: how many receipts are remembered, at least 1. Beyond that, the message whose last
            new receipt is oldest is forgotten. A receipt of a forgotten message counts as new when
            it comes again. At most 100 receipts of one message are remembered.

    Raises:
        ValueError: `max_age` is not positive, or `capacity` is less than 1.
    """

    def __init__(self, max_age: timedelta = timedelta(hours=24), capacity: int = 100_000) -> None:
        if max_age <= timedelta(0):
            raise ValueError("max_age: must be more than 0")
        if capacity < 1:
            raise ValueError("capacity: at least 1 receipt")
        self._max_age, self._capacity = max_age.total_seconds(), capacity
        self._pages = OrderedDict[str, _Page]()
        self._kept = self._duplicates = self._missed = 0
        self._waiting: dict[str, list[asyncio.Future[DeliveryReceipt]]] = {}
        # A loop that is left drops its reader, and has no other way to say that it ended.
        self._readers = WeakSet[_Reader]()
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, receipt: DeliveryReceipt) -> None:
        """
        Add a receipt, and wake those who wait for it. A duplicate changes nothing.

        Call it in the book's event loop.
        """
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self._forget(now)
        page = self._page(receipt)
        # Without a resource id, receipts of two messages to one number look like duplicates.
        if receipt.resource_id and receipt in page.receipts:
            self._duplicates += 1
            return
        self._enter(page, receipt, now)
        self._forget(now)
        for reader in list(self._readers):
            self._missed += reader.put(receipt)
        if receipt.is_final:
            self._wake(receipt.resource_id, page.furthest)

    async def delivered(
        self, resource_id: str, timeout: float = REPORTED_WITHIN
    ) -> DeliveryReceipt:
        """
        Wait for the first final receipt of a message. Its `delivered` tells whether it arrived.

        DeliveryImpossible is final here, although DeliveredToTerminal may follow when the phone is
        switched on again: `furthest` then shows it.

        Args:
            resource_id: of the message, as its send returned it. Any number of callers may wait
                for one message.
            timeout: seconds, finite; Orange reports within 24 hours, or not at all.

        Returns:
            The first final receipt. If there are several already, the one with the furthest status.

        Raises:
            TimeoutError: none came. The message may still have been delivered.
            ValueError: `timeout` is negative or not finite.
        """
        if not 0 <= timeout < math.inf:
            raise ValueError("timeout: a finite number of seconds")
        if (known := self.furthest(resource_id)) and known.is_final:
            return known
        future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(resource_id, []).append(future)
        try:
            await asyncio.wait({future}, timeout=timeout)
        finally:
            self._leave(resource_id, future)
        if not future.done():
            raise TimeoutError("no final receipt came in time")
        receipt: DeliveryReceipt = future.result()
        return receipt

    def furthest(self, resource_id: str) -> DeliveryReceipt | None:
        """Return a message's receipt with the furthest status; None without one, and for ""."""
        page = self._remembered(resource_id)
        return page.furthest if page and resource_id else None

    def history(self, resource_id: str) -> list[DeliveryReceipt]:
        """
        List a message's receipts in the order they arrived, without duplicates.

        Args:
            resource_id: of the message; "" for the receipts without one, duplicates included.

        Returns:
            At most the last 100 of them.
        """
        page = self._remembered(resource_id)
        return list(page.receipts) if page else []

    def statistics(self) -> BookStatistics:
        """Describe the book as it is now."""
        return BookStatistics(
            messages=len(self._pages),
            receipts=self._kept,
            waiting=sum(map(len, self._waiting.values())),
            readers=len(self._readers),
            duplicates=self._duplicates,
            missed=self._missed,
        )

    def __aiter__(self) -> AsyncIterator[DeliveryReceipt]:
        reader = _Reader()
        self._readers.add(reader)
        return reader

    def _page(self, receipt: DeliveryReceipt) -> _Page:
        room = min(_MOST_OF_ONE, self._capacity)
        new = _Page(deque[DeliveryReceipt](maxlen=room), receipt)
        return self._pages.setdefault(receipt.resource_id, new)

    def _enter(self, page: _Page, receipt: DeliveryReceipt, now: float) -> None:
        self._kept += len(page.receipts) != page.receipts.maxlen
        page.receipts.append(receipt)
        page.furthest = max(page.furthest, receipt, key=rank)
        page.written = now
        self._pages.move_to_end(receipt.resource_id)

    def _forget(self, now: float) -> None:
        # A message is forgotten as a whole: without its furthest receipt, it would go back.
        while self._pages:
            oldest = next(iter(self._pages.values()))
            if self._kept <= self._capacity and now - oldest.written <= self._max_age:
                return
            self._pages.popitem(last=False)
            self._kept -= len(oldest.receipts)

    def _remembered(self, resource_id: str) -> _Page | None:
        page = self._pages.get(resource_id)
        if page is None or self._loop is None or self._loop.time() - page.written > self._max_age:
            return None
        return page

    def _wake(self, resource_id: str, furthest: DeliveryReceipt) -> None:
        if not resource_id:
            return  # "" names no message: nobody waits for it
        for future in self._waiting.get(resource_id, ()):
            if not future.done():
                future.set_result(furthest)

    def _leave(self, resource_id: str, future: asyncio.Future[DeliveryReceipt]) -> None:
        waiting = self._waiting[resource_id]
        waiting.remove(future)
        if not waiting:
            del self._waiting[resource_id]


class _Reader:
    """One loop over a book."""

    def __init__(self) -> None:
        self._receipts = deque[DeliveryReceipt](maxlen=_BACKLOG)
        self._arrived = asyncio.Event()

    def put(self, receipt: DeliveryReceipt) -> bool:
        """Take a receipt; return whether an older one was dropped to make room."""
        full = len(self._receipts) == _BACKLOG
        self._receipts.append(receipt)
        self._arrived.set()
        return full

    def __aiter__(self) -> AsyncIterator[DeliveryReceipt]:
        return self

    async def __anext__(self) -> DeliveryReceipt:
        while not self._receipts:
            self._arrived.clear()
            await self._arrived.wait()
        return self._receipts.popleft()
