"""Events as they happen, for anyone who watches; a slow reader holds nothing up."""

import asyncio
import contextlib
import secrets
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import Any

import attrs

_REMEMBERED = 4_000  # events, for all who watch together
_TURN = 0.05  # seconds whose events are reported together
_HEARTBEAT = 15.0


@attrs.frozen
class Event:
    """
    Something that happened.

    Attributes:
        id: its position among all events of the sandbox's run.
        name: its kind: `message`, `arrival`, `account`, ….
        value: returns its content, called when it is sent.
    """

    id: str
    name: str
    value: Callable[[], Any]


@attrs.define(eq=False)
class _Watcher:
    loop: asyncio.AbstractEventLoop
    woken: asyncio.Event = attrs.field(factory=asyncio.Event)
    asleep: bool = False
    closed: bool = False

    def wake(self) -> None:
        if self.asleep:  # at most once a turn, however much happens
            self.asleep = False
            self.loop.call_soon_threadsafe(self.woken.set)


class Feed:
    """
    The last events, which every watcher reads at its own pace.

    A watcher that has missed forgotten events is told to start anew (`reload`). So is one that
    comes from another run.

    Attributes:
        count: the number of all events until now.
    """

    def __init__(self) -> None:
        self._run = secrets.token_hex(4)
        self._recent: deque[tuple[str, Callable[[], Any]]] = deque(maxlen=_REMEMBERED)
        self.count = 0
        self._watchers: set[_Watcher] = set()
        self._lock = threading.Lock()  # a test may set a fault while a server's thread answers

    def publish(self, name: str, value: Callable[[], Any] = dict) -> None:
        """
        Tell all watchers; any thread may call this.

        Args:
            name: the kind of event.
            value: returns its content, called when it is sent.
        """
        with self._lock:
            self._recent.append((name, value))
            self.count += 1
            for watcher in self._watchers:
                watcher.wake()

    def close(self) -> None:
        """End every watch."""
        with self._lock:
            for watcher in self._watchers:
                watcher.closed = True
                watcher.wake()

    async def watch(self, last_id: str = "") -> AsyncGenerator[list[Event]]:
        """
        Yield events in batches, as they happen.

        Args:
            last_id: the event after which to begin; without it, begin now.

        Yields:
            The events since the last batch; an empty batch is a heartbeat.
        """
        watcher, position = _Watcher(asyncio.get_running_loop()), self._position(last_id)
        with self._lock:
            self._watchers.add(watcher)
        try:
            while not watcher.closed:
                news, position = self._since(position)
                yield news
                if news:
                    await asyncio.sleep(_TURN)
                await self._wait(watcher, position)
        finally:
            with self._lock:
                self._watchers.discard(watcher)

    def _position(self, last_id: str) -> int:
        run, _, number = last_id.partition(".")
        if not last_id:
            return self.count
        known = run == self._run and number.isascii() and number.isdigit() and len(number) < 16
        return min(int(number), self.count) if known else -1

    def _since(self, position: int) -> tuple[list[Event], int]:
        with self._lock:
            count, missed = self.count, self.count - position
            if position < 0 or missed > len(self._recent):
                return [Event(f"{self._run}.{count}", "reload", dict)], count
            fresh = list(self._recent)[-missed:] if missed else []
        events = [
            Event(f"{self._run}.{number}", name, value)
            for number, (name, value) in enumerate(fresh, count - len(fresh) + 1)
        ]
        return _without_repetitions(events), count

    async def _wait(self, watcher: _Watcher, position: int) -> None:
        watcher.woken.clear()
        watcher.asleep = True
        if watcher.closed or position != self.count:  # before the watcher had fallen asleep
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HEARTBEAT):
                await watcher.woken.wait()


def _without_repetitions(events: list[Event]) -> list[Event]:
    """Report only once that the account or the faults have changed."""
    last = {event.name: event for event in events if event.value is dict}
    return [event for event in events if event.value is not dict or event is last[event.name]]
