"""Where messages wait and outcomes are kept."""

import asyncio
import math
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Literal, Protocol

import attrs

from orange_sms_async.messages import OutboundMessage, ResourceId
from orange_sms_async.outcomes import Outcome, Priority, State
from orange_sms_async.receipts import DeliveryReceipt

OnUnknown = Literal["report", "resend"]


@attrs.define(eq=False)
class Entry:
    """
    A message on its way, with what was said when it was submitted.

    Attributes:
        not_before: seconds on the queue's clock; 0 for at once.
        expires_at: seconds on the queue's clock; infinite for never.
        on_unknown: what to do once when its outcome is unknown; "resent" when that was done, so
            that nothing but SENT can be said of it with certainty.
    """

    message: OutboundMessage
    priority: Priority
    not_before: float = 0.0
    expires_at: float = math.inf
    on_unknown: OnUnknown | Literal["resent"] = "report"
    state: State = State.QUEUED


class Outbox(Protocol):
    """
    What `SendQueue` needs of the place where its messages wait.

    Every change is kept when its await returns. Times are seconds on the queue's clock.
    """

    durable: bool
    """Whether messages outlive the process; if not, who stops waiting for one withdraws it."""

    sent_lately: bool
    """Whether something may have left within the last second before it was opened."""

    async def open(self, now: float, retention: timedelta) -> list[Outcome]:
        """
        Make ready; settle what an earlier process left on the wire or let expire.

        Raises:
            OutboxUnusable: names the file and the cause.
        """
        ...

    async def aclose(self) -> None:
        """Let go of what `open` took."""

    @property
    def unfinished(self) -> int:
        """Count the messages that wait or are on the wire."""
        ...

    def waiting(self, priority: Priority) -> int:
        """Count the messages of a lane that wait, those for later included."""
        ...

    def add(self, entry: Entry) -> asyncio.Future[Outcome | None] | None:
        """
        Keep a message whose reference is not watched by this queue already.

        Where that takes time, the future says what became of the message if an earlier queue
        kept its reference, or raises `InvalidMessage` if that was with another number or text.
        """
        ...

    async def ready_at(self) -> float | None:
        """Tell from when on a message can be taken; None when none waits."""
        ...

    async def take(self, now: float) -> Entry | None:
        """Take the oldest ready message of the most urgent lane: it is SENDING."""
        ...

    async def put_back(self, entry: Entry) -> None:
        """Return a taken message to the head of its lane, as its attributes now say."""

    async def settle(self, outcome: Outcome, now: float) -> list[Outcome]:
        """
        Keep what became of a taken message; return it as kept, and others that this settled.

        Where receipts are kept, one of them may tell that an unknown message was sent.
        """
        ...

    async def keep(self, receipt: DeliveryReceipt, now: float) -> tuple[Outcome, bool] | None:
        """Keep a receipt; return the outcome of its message, and whether it settled that."""
        ...

    async def withdraw(self, outcome: Outcome, now: float) -> bool:
        """Keep that a message was withdrawn or expired, if it waits."""
        ...

    async def resolve(self, reference: str, sent: ResourceId | None, now: float) -> list[Outcome]:
        """
        Keep what a person found out about an UNKNOWN message; None: it waits again.

        Returns it as kept, and others that this settled; nothing if there is no such message.
        """
        ...

    async def find(self, reference: str) -> Outcome:
        """
        Tell where a message is on its way.

        Raises:
            KeyError: nothing is kept under this reference.
        """
        ...

    def outcomes(self, state: State | None) -> AsyncIterator[Outcome]:
        """Tell of all messages, or those in one state, in the order they were submitted."""
        ...
