"""Receipts in a file of their own, for use without an outbox."""

import os
import sqlite3
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from orange_sms_async.outbox.sqlite import received
from orange_sms_async.outbox.sqlite.commits import Commits
from orange_sms_async.outbox.sqlite.schema import RECEIPTS
from orange_sms_async.receipts import DeliveryReceipt


class ReceiptFile:
    """
    A store for a `ReceiptReceiver`. Receipts are on disk before Orange is answered.

    Use it in `async with`. Several processes may write to one file. The file contains numbers, and
    is created so that only its owner can read it.

    Args:
        path: of the file, which is created if there is none.
        retention: how long receipts are kept.

    Raises:
        OutboxUnusable: the file cannot be opened or written. The error names it and the cause.
    """

    def __init__(
        self, path: str | os.PathLike[str], retention: timedelta = timedelta(days=30)
    ) -> None:
        self._file = Commits(Path(path), RECEIPTS)
        self._retention = retention.total_seconds()

    async def __aenter__(self) -> Self:
        await self._file.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._file.aclose()

    async def keep(self, receipt: DeliveryReceipt) -> None:
        """Store a receipt. One that says nothing new changes nothing."""
        now = time.time()

        def keep(db: sqlite3.Connection) -> None:
            received.forget_old(db, now, self._retention)
            received.add(db, receipt, now)

        await self._file.write(keep)

    async def receipts(self) -> AsyncIterator[tuple[DeliveryReceipt, float]]:
        """Iterate over all receipts as they came, with their time in seconds since 1970."""
        page = await self._file.write(partial(received.page, after=0))
        while page:
            for _, receipt, arrived_at in page:
                yield receipt, arrived_at
            page = await self._file.write(partial(received.page, after=page[-1][0]))
