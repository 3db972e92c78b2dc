"""Those whom a queue tells what happens: callbacks of its users, which must not stop it."""

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from orange_sms_async.events import Event, Settled
from orange_sms_async.outcomes import Outcome

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_Fields = ParamSpec("_Fields")


class Listeners:
    """
    The callbacks of a queue.

    Args:
        on_outcome: told each outcome.
        on_event: told each event.

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
                raise TypeError(f"{name}: a plain function, as nobody awaits it")
        self._on_outcome, self._on_event = on_outcome, on_event

    def tell_outcome(self, outcome: Outcome) -> None:
        if self._on_outcome:
            self._call("on_outcome", self._on_outcome, outcome)
        self.tell(Settled, outcome=outcome)

    def tell(
        self, event: Callable[_Fields, Event], *args: _Fields.args, **kwargs: _Fields.kwargs
    ) -> None:
        """Tell an event, which is not even made where nobody listens."""
        if self._on_event:
            self._call("on_event", self._on_event, event(*args, **kwargs))

    def _call(self, name: str, listener: Callable[[_T], object], told: _T) -> None:
        # A callback must not stop the queue, nor cut the request that it is told of.
        try:
            answer = listener(told)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001
            _log.error("%s raised %s", name, type(error).__name__)
            return
        if asyncio.iscoroutine(answer):
            answer.close()
            _log.error("%s is a coroutine, which nobody awaits", name)
