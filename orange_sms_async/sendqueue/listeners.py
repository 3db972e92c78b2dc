"""The callbacks that a queue reports to. They must not stop it."""

import asyncio
import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_args

from orange_sms_async.events import Event, Settled
from orange_sms_async.outbox import Entry
from orange_sms_async.outcomes import Outcome
from orange_sms_async.sendqueue.tickets import Ticket

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_Answer = TypeVar("_Answer")


class Listeners:
    """
    The callbacks of a queue.

    Args:
        on_outcome: called with each outcome.
        on_event: called with each event.

    Raises:
        TypeError: one of them is a coroutine function.
    """

    def __init__(
        self,
        on_outcome: Callable[[Outcome], object] | None,
        on_event: Callable[[Event], object] | None,
    ) -> None:
        for name, listener in (("on_outcome", on_outcome), ("on_event", on_event)):
            if inspect.iscoroutinefunction(listener):
                raise TypeError(f"{name}: must be a plain function, because nobody awaits it")
        self._on_outcome = on_outcome
        # By class, because making an event takes as long as reporting it.
        self._listeners: dict[type[Event], list[Callable[[Any], object]]] = {
            kind: [on_event] if on_event else [] for kind in get_args(Event)
        }
        self._context_of: Callable[[Entry], str | None] | None = None

    def add(
        self,
        listeners: Mapping[type[Event], Callable[[Any], object]],
        context_of: Callable[[Entry], str | None] | None = None,
    ) -> None:
        """
        Add listeners, each for one class of event.

        Args:
            listeners: each is called with the events of its class, as `on_event` is with all.
            context_of: called when a message is submitted; returns the traceparent that travels
                with the message. Only the one added last is called.
        """
        for kind, listener in listeners.items():
            self._listeners[kind].append(listener)
        self._context_of = context_of or self._context_of

    def context(self, entry: Entry) -> str | None:
        """Return the traceparent that travels with a message; by default its submitter's."""
        if self._context_of is None:
            return entry.context
        return _call("context_of", self._context_of, entry) or entry.context

    def tell_outcome(
        self, outcome: Outcome, ticket: Ticket | None = None, *, here: bool = True
    ) -> None:
        """Report an outcome. `on_outcome` is called only in the process that settled it."""
        if here and self._on_outcome:
            _call("on_outcome", self._on_outcome, outcome)
        message = ticket.message if ticket else None
        ready_at = ticket.ready_at if ticket and ticket.ours else None
        self.tell(Settled, outcome=outcome, message=message, ready_at=ready_at, here=here)

    def tell(self, event: type[Event], **fields: Any) -> None:
        """Report an event. It is not even made if nobody listens."""
        if listeners := self._listeners[event]:
            told = event(**fields)
            for listener in listeners:  # as `_call` does, without the cost of a call for each event
                try:
                    if (answer := listener(told)) is not None:
                        _close("on_event", answer)
                except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001
                    _failed("on_event", error)


def _call(name: str, listener: Callable[[_T], _Answer], told: _T) -> _Answer | None:
    # A callback must not stop the queue, nor cut the request that it is called for.
    try:
        answer = listener(told)
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001
        _failed(name, error)
        return None
    _close(name, answer)
    return answer


def _failed(name: str, error: BaseException) -> None:
    fields = {"event": "listener_failed", "error": type(error).__name__}
    _log.error("%s raised %s", name, type(error).__name__, extra=fields)


def _close(name: str, answer: object) -> None:
    if asyncio.iscoroutine(answer):
        answer.close()
        fields = {"event": "listener_not_awaited"}
        _log.error("%s returned a coroutine, which nobody awaits", name, extra=fields)
