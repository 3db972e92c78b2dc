"""Where a queue asks its gate: when a message is submitted, and again before it leaves."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from typing import Any, Self, TypeVar

from orange_sms_async.errors import OutboxUnusable, Withheld
from orange_sms_async.events import HeldBack
from orange_sms_async.gates import Asked, Gate
from orange_sms_async.messages import OutboundMessage
from orange_sms_async.outbox import Claim, Entry, Outbox
from orange_sms_async.outcomes import Priority
from orange_sms_async.sendqueue.foresight import end

_AGAIN = 60.0  # seconds after which a gate that failed is asked again
_MOST = 100  # messages from which the future is estimated

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class Asking:
    """
    A queue's gate.

    If it raises, the message is withheld. This is logged once, until the gate answers again.

    Args:
        gate: the queue's gate. None lets everything pass.
        outbox: where the rules keep their notes.

    Raises:
        TypeError: the gate has no method `ask`.
    """

    def __init__(self, gate: Gate | None, outbox: Outbox) -> None:
        if gate is not None and not callable(getattr(gate, "ask", None)):
            raise TypeError("gate: has no method ask(asked)")
        self._gate, self._outbox = gate, outbox
        self._secret = b""
        self._fails = False
        self._seen = dict[tuple[Priority, str], OutboundMessage]()
        self._foreseen: tuple[tuple[float, ...], float] = (), 0.0

    def since(self, now: Callable[[], float], tell: Callable[..., object]) -> Self:
        """Start, on a queue's clock. `tell` is called when a message is withheld."""
        self._now, self._tell = now, tell
        return self

    # -- when it is submitted -------------------------------------------------------------------

    async def admit(self, entry: Entry) -> None:
        """
        Ask about a message that is submitted. If the gate gives a date, the message waits for it.

        Raises:
            Withheld: says why it is not admitted.
            OutboxUnusable: the rules' notes cannot be read or written.
        """
        if self._gate is None:
            return
        try:
            answer = await self._ask(self._gate, entry, leaving=False)
        except OutboxUnusable:
            raise
        except Exception as error:  # noqa: BLE001 -- a user's gate may raise anything
            answer = self._failed(error)
        if answer is not None and not await self._is_kept(entry):
            await self._take(answer, entry)

    async def _take(self, answer: float | Withheld, entry: Entry) -> None:
        if isinstance(answer, Withheld):
            await self._outbox.notes.give_back(entry.message.reference)
            self.held_back(entry, answer, leaving=False)
            raise answer.with_traceback(None)  # a gate may return the same one each time
        entry.not_before = max(entry.not_before, answer)

    def admit_at_once(self, entry: Entry) -> None:
        """
        Ask about a message that is submitted, without waiting.

        A gate that takes time to answer is asked only before the message leaves.

        Raises:
            Withheld: says why it is not admitted.
        """
        if self._gate is not None and not self._outbox.durable:
            _at_once(self.admit(entry))

    async def _is_kept(self, entry: Entry) -> bool:
        """Tell whether the message was admitted before, so that it is not admitted again."""
        if not self._outbox.durable:
            return False
        try:
            await self._outbox.find(entry.message.reference)
        except KeyError:
            return False
        return True

    # -- before it leaves -----------------------------------------------------------------------

    async def leave(self, claim: Claim) -> float | Withheld | None:
        """Ask about a message that is about to leave. A gate that fails is asked again later."""
        if self._gate is None:
            return None
        try:
            return await self._ask(self._gate, claim.entry, leaving=True)
        except asyncio.CancelledError as error:
            if (task := asyncio.current_task()) and task.cancelling():
                raise
            self._failed(error)
        except Exception as error:  # noqa: BLE001 -- as above
            self._failed(error)
        return self._now() + _AGAIN

    async def _ask(self, gate: Gate, entry: Entry, *, leaving: bool) -> float | Withheld | None:
        message, lane = entry.message, entry.priority
        self._secret = self._secret or await self._outbox.notes.secret()
        where = lane, message.to[:4]
        if where in self._seen or len(self._seen) < _MOST:
            self._seen[where] = message
        asked = Asked(message, lane, self._now(), leaving, self._outbox.notes, self._secret)
        answer = gate.ask(asked)
        if answer is not None and not isinstance(answer, datetime | Withheld):
            answer = await answer
        checked = _checked(answer)
        self._fails = False
        return None if isinstance(checked, float) and checked <= asked.at else checked

    def held_back(self, entry: Entry, error: Withheld, *, leaving: bool) -> None:
        """Report that a message is withheld."""
        about = {"message": entry.message, "priority": entry.priority}
        self._tell(HeldBack, **about, error=error, leaving=leaving)

    def _failed(self, error: BaseException) -> Withheld:
        name = type(error).__name__
        if not self._fails:
            told = {"event": "gate_failed", "error": name}
            _log.error("the gate raised %s: messages are withheld", name, extra=told)
        self._fails = True
        withheld = Withheld(f"the gate raised {name}", rule="gate")
        withheld.__cause__ = error
        return withheld

    # -- looking ahead --------------------------------------------------------------------------

    def ends(self, waiting: Mapping[Priority, int], pace: float, now: float) -> float:
        """Return when the last message leaves. If called often, it looks ahead once a second."""
        known = int(now), pace, *waiting.values()
        if self._foreseen[0] != known:
            self._foreseen = known, end(waiting, pace, now, self._held)
        return self._foreseen[1]

    def _held(self, lane: Priority, at: float) -> float:
        """Return until when the gate would hold a lane back, judging by the last messages seen."""
        until = at
        if self._gate is None:
            return until
        for (seen, _), message in list(self._seen.items()):
            if seen is lane:
                asked = Asked(message, lane, at, False, _Nothing(), self._secret)
                answer = _foreseen(self._gate, asked)
                until = max(until, answer.timestamp() if answer else at)
        return until


def _checked(answer: object) -> float | Withheld | None:
    if isinstance(answer, datetime):
        if answer.tzinfo is None:
            raise TypeError("a datetime from a gate must have a time zone")
        return answer.timestamp()
    if answer is None or isinstance(answer, Withheld):
        return answer
    raise TypeError("a gate answers None, a datetime or Withheld")


def _at_once(coroutine: Coroutine[Any, Any, _T]) -> _T | None:
    """Return the result of a coroutine that does not wait; None for one that would."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    coroutine.close()
    return None


def _foreseen(gate: Gate, asked: Asked) -> datetime | None:
    try:
        answer = gate.ask(asked)
        if isinstance(answer, Coroutine):
            answer = _at_once(answer)
    except Exception:  # noqa: BLE001 -- it is logged where a message is asked about
        return None
    return answer if isinstance(answer, datetime) and answer.tzinfo else None


class _Nothing:
    """Notes for looking ahead: there is always room, and nothing is kept."""

    async def secret(self) -> bytes:
        return b""

    async def take(
        self,
        name: str,  # noqa: ARG002 -- as those of an outbox
        member: str,  # noqa: ARG002
        units: int,  # noqa: ARG002
        *,
        most: int,  # noqa: ARG002
        within: float,  # noqa: ARG002
        now: float,  # noqa: ARG002
    ) -> bool:
        return True

    async def give_back(self, member: str) -> None: ...

    async def enter(self, name: str, members: list[str]) -> None: ...

    async def strike(self, name: str, member: str) -> None: ...

    async def has(self, name: str, member: str) -> bool:  # noqa: ARG002
        return False

    async def members(self, name: str) -> list[str]:  # noqa: ARG002
        return []
