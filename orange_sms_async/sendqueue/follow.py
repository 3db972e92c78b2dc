"""Watches what other processes do in an outbox that this one shares."""

import asyncio
from collections.abc import Callable

from orange_sms_async.events import WaitingFor
from orange_sms_async.outbox import Outbox
from orange_sms_async.sendqueue.watch import Watch


class Following:
    """
    One task, while a queue is open.

    Args:
        outbox: where others submit, settle and keep receipts; open.
        watch: gets what they settled.
        arrived: called when a new message may be waiting.
        failed: called with the reason why the outbox cannot be followed.
    """

    def __init__(
        self,
        outbox: Outbox,
        watch: Watch,
        arrived: Callable[[], object],
        failed: Callable[[BaseException], object],
    ) -> None:
        self._outbox, self._watch, self._arrived = outbox, watch, arrived
        self._failed = failed

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._running = loop.create_task(self._follow(), name="orange-sms following")

    async def stop(self) -> None:
        self._running.cancel()
        await asyncio.wait({self._running})

    async def _follow(self) -> None:
        try:
            left = self._outbox.unfinished
            while True:
                await asyncio.sleep(self._outbox.look_every)
                if self._outbox.changed():
                    for outcome in await self._outbox.news(self._watch.awaited):
                        self._watch.hear(outcome)
                    left, before = self._outbox.unfinished, left
                    if left < before:
                        self._watch.accepted()  # a drain waits for what another process sends
                    self._watch.look()
                    self._arrived()
                self._say_whether_away()
        except Exception as error:  # noqa: BLE001 -- a custom outbox may raise anything
            self._failed(error)

    def _say_whether_away(self) -> None:
        if self._outbox.away:
            self._watch.waits_for(WaitingFor.DATABASE)
        elif self._watch.waiting_for is WaitingFor.DATABASE:
            self._watch.goes_on()
