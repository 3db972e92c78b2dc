"""Where messages wait and what became of them."""

import asyncio
import enum
import math
from typing import Protocol

import attrs

from orange_sms_async.errors import OrangeSMSError
from orange_sms_async.messages import OutboundMessage, ResourceId


class Priority(enum.IntEnum):
    """The lanes; a message leaves when the lanes above hold none that is ready."""

    URGENT = 0
    """One-time codes."""
    NORMAL = 1
    BULK = 2
    """Campaigns."""


class State(enum.StrEnum):
    """
    Where a message is on its way.

    SCHEDULED → QUEUED → SENDING → SENT | FAILED | UNKNOWN; or EXPIRED, WITHDRAWN before SENDING.
    """

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


@attrs.frozen
class Outcome:
    """
    What became of a message, or where it is on its way.

    Attributes:
        reference: of the message.
        resource_id: when SENT.
        error: when FAILED, UNKNOWN, EXPIRED or WITHDRAWN.
    """

    reference: str
    state: State
    resource_id: ResourceId | None = None
    error: OrangeSMSError | None = None


@attrs.define(eq=False)
class Entry:
    """
    A message on its way.

    Attributes:
        future: who waits for its resource id.
        not_before: seconds on the queue's clock; 0 for at once.
        expires_at: seconds on the queue's clock; infinite for never.
        attempts: how many times it was taken to be sent.
    """

    message: OutboundMessage
    priority: Priority
    future: asyncio.Future[ResourceId]
    not_before: float = 0.0
    expires_at: float = math.inf
    state: State = State.QUEUED
    attempts: int = 0

    @property
    def waits(self) -> bool:
        return self.state in (State.QUEUED, State.SCHEDULED)


class Outbox(Protocol):
    """What `SendQueue` needs of the place where its messages wait."""

    def add(self, entry: Entry) -> None:
        """Keep a message whose reference is not kept yet."""

    def waiting(self, priority: Priority) -> int:
        """Count the messages of a lane that wait, those for later included."""
        ...

    async def ready_at(self) -> float | None:
        """Tell from when on a message can be taken; None when none waits."""

    async def take(self, now: float) -> Entry | None:
        """Take the oldest ready message of the most urgent lane: it is SENDING."""

    async def put_back(self, entry: Entry) -> None:
        """Return a message that was certainly not sent to the head of its lane."""

    async def settle(self, entry: Entry, outcome: Outcome) -> None:
        """Keep what became of a message."""
