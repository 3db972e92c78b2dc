"""An outbox that three processes have open: this one has the turn, two others do all the rest."""

import asyncio
import itertools
import multiprocessing
import operator
from collections.abc import AsyncIterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from orange_sms_async.outbox import Entry
from orange_sms_async.outbox.sqlite import SqliteOutbox
from orange_sms_async.outcomes import Outcome, State

SPAWN = multiprocessing.get_context("spawn")


class Elsewhere:
    """A process that does with its own outbox what it is told."""

    def __init__(self) -> None:
        self._pipe, there = SPAWN.Pipe()
        SPAWN.Process(target=_serve, args=(there,), daemon=True).start()

    async def ask(self, what: str, *arguments: object, **keywords: object) -> Any:
        self._pipe.send((what, arguments, keywords))
        done, answer = await asyncio.to_thread(self._pipe.recv)
        if done:
            return answer
        raise answer


def _serve(pipe: Connection) -> None:
    asyncio.run(_answer(pipe))


async def _answer(pipe: Connection) -> None:
    outbox: Any = None
    while True:
        what, arguments, keywords = await asyncio.to_thread(pipe.recv)
        try:
            if what == "outbox":
                outbox = SqliteOutbox(*arguments)
                answer = None
            elif what == "outcomes":
                answer = [each async for each in outbox.outcomes(*arguments)]
            else:
                answer = await operator.attrgetter(what)(outbox)(*arguments, **keywords)
        except Exception as error:  # noqa: BLE001 -- as it is raised there
            pipe.send((False, error))
        else:
            pipe.send((True, answer))


class NotesElsewhere:
    """The notes as the others have them, in turn."""

    def __init__(self, others: list[Elsewhere]) -> None:
        self._next = itertools.cycle(others)

    def __getattr__(self, name: str) -> Any:
        return partial(next(self._next).ask, f"notes.{name}")


class ThreeProcesses(SqliteOutbox):
    """Claims and settles here; the others submit, withdraw, resolve and ask in turn."""

    def __init__(self, path: Path, others: list[Elsewhere]) -> None:
        super().__init__(path)
        self._others, self._next = others, itertools.cycle(others)
        self.notes: Any = NotesElsewhere(others)

    async def open(self, now, retention):
        await super().open(now, retention)
        for other in self._others:
            await other.ask("outbox", self.path)
            await other.ask("open", now, retention)

    async def aclose(self):
        for other in self._others:
            await other.ask("aclose")
        await super().aclose()

    async def _elsewhere(self, what: str, *arguments: object) -> Any:
        answer = await next(self._next).ask(what, *arguments)
        await super().ready_at()  # so that this one counts what the other did
        return answer

    def add(self, entry: Entry):
        return asyncio.ensure_future(self._elsewhere("add", entry))

    async def ready_at(self):
        return await self._elsewhere("ready_at")

    async def withdraw(self, outcome: Outcome, now: float):
        return await self._elsewhere("withdraw", outcome, now)

    async def resolve(self, reference, sent, now):
        return await self._elsewhere("resolve", reference, sent, now)

    async def find(self, reference: str):
        return await self._elsewhere("find", reference)

    async def outcomes(self, state: State | None) -> AsyncIterator[Outcome]:
        for outcome in await self._elsewhere("outcomes", state):
            yield outcome
