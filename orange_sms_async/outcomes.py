"""Where a message is on its way, and what became of it."""

import enum
from typing import Literal

import attrs

from orange_sms_async.errors import OrangeSMSError
from orange_sms_async.messages import ResourceId
from orange_sms_async.receipts import DeliveryReceipt


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

    @property
    def waits(self) -> bool:
        """Whether the message has not left and may still leave."""
        return self in (State.SCHEDULED, State.QUEUED)

    @property
    def finished(self) -> bool:
        """Whether nothing more becomes of the message by itself."""
        return not self.waits and self is not State.SENDING


@attrs.frozen
class Outcome:
    """
    What became of a message, or where it is on its way.

    Attributes:
        reference: of the message.
        resource_id: when SENT.
        error: when FAILED, UNKNOWN, EXPIRED or WITHDRAWN.
        settled_by: what told that an UNKNOWN message was SENT: a "receipt", or a "person".
        delivery: the receipt that brought it furthest; a durable outbox knows of receipts.
    """

    reference: str
    state: State
    resource_id: ResourceId | None = None
    error: OrangeSMSError | None = None
    settled_by: Literal["receipt", "person"] | None = None
    delivery: DeliveryReceipt | None = None
