"""Batches requests: those that come during a round trip share the next one."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_MOST = 500


class Batch(Generic[_Item, _Result]):
    """
    One round trip at a time, for many callers with the same kind of request.

    Args:
        done: carries out several requests. It is told whether they may have been done already, and
            returns a result or an exception for each.
    """

    def __init__(
        self, done: Callable[[list[_Item], bool], Awaitable[list[_Result | Exception]]]
    ) -> None:
        self._done = done
        self._pending: list[tuple[_Item, asyncio.Future[_Result]]] = []
        self._cut: list[tuple[_Item, asyncio.Future[_Result]]] = []
        self._running: asyncio.Task[None] | None = None

    def ask(self, item: _Item) -> asyncio.Future[_Result]:
        """Request one. It is carried out even if the caller goes away."""
        future: asyncio.Future[_Result] = asyncio.get_running_loop().create_future()
        self._pending.append((item, future))
        if self._running is None:
            self._start()
        return future

    def _start(self) -> None:
        self._running = asyncio.get_running_loop().create_task(self._run())

    async def finish(self) -> None:
        """Wait until all that was requested is done."""
        while self._running:
            await asyncio.wait({self._running})

    async def _run(self) -> None:
        try:
            await asyncio.sleep(0)  # callers that are woken together come back together
            while batch := self._cut or self._pending[:_MOST]:
                repeated = bool(self._cut)
                if not repeated:
                    self._pending = self._pending[_MOST:]
                self._cut = batch
                await self._carry(batch, repeated)
                self._cut = []
        except asyncio.CancelledError:
            # A loop that ends cancels its tasks before the last outcomes are reported.
            self._start()
            raise
        self._running = None

    async def _carry(
        self, batch: list[tuple[_Item, asyncio.Future[_Result]]], repeated: bool
    ) -> None:
        try:
            results = await self._done([item for item, _ in batch], repeated)
        except Exception as error:  # noqa: BLE001 -- each caller gets it
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
