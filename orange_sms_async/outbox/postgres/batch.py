"""What comes while a round trip is under way goes together with the next one."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_MOST = 500


class Batch(Generic[_Item, _Result]):
    """
    One round trip at a time for many who ask for the same.

    Args:
        done: does it for several; returns a result, or an exception, for each.
    """

    def __init__(self, done: Callable[[list[_Item]], Awaitable[list[_Result | Exception]]]) -> None:
        self._done = done
        self._pending: list[tuple[_Item, asyncio.Future[_Result]]] = []
        self._running: asyncio.Task[None] | None = None

    def ask(self, item: _Item) -> asyncio.Future[_Result]:
        """Do it for one; who goes away then changes nothing."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Result] = loop.create_future()
        self._pending.append((item, future))
        if self._running is None:
            self._running = loop.create_task(self._run())
        return future

    async def finish(self) -> None:
        """Wait until all that was asked for is done."""
        while self._running:
            await asyncio.wait({self._running})

    async def _run(self) -> None:
        try:
            while self._pending:
                await asyncio.sleep(0)  # those who are woken together come back together
                batch, self._pending = self._pending[:_MOST], self._pending[_MOST:]
                await self._carry(batch)
        finally:
            self._running = None

    async def _carry(self, batch: list[tuple[_Item, asyncio.Future[_Result]]]) -> None:
        try:
            results = await self._done([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 -- to whom it concerns
            results = [error] * len(batch)
        except BaseException:
            for _, future in batch:
                future.cancel()
            raise
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
