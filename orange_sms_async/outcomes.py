"""Where a message is on its way, and its result."""

import enum
from typing import Literal

import attrs

from orange_sms_async.errors import (
    MessageExpired,
    MessageWithdrawn,
    OrangeSMSError,
    OutcomeUnknown,
)
from orange_sms_async.messages import ResourceId
from orange_sms_async.receipts import DeliveryReceipt

OnUnknown = Literal["report", "resend"]
"""What to do once about a message whose outcome is unknown."""


class Priority(enum.IntEnum):
    """The lanes of a queue: a message leaves when the lanes above it hold none that is ready."""

    URGENT = 0
    """One-time codes."""
    NORMAL = 1
    """The lane of a message submitted without a priority."""
    BULK = 2
    """Campaigns: the lane of `queue.bulk`."""


class State(enum.StrEnum):
    """
    Where a message is on its way.

    SCHEDULED → QUEUED → SENDING → SENT | FAILED | UNKNOWN; or EXPIRED, WITHDRAWN before SENDING.
    What Orange certainly did not take goes from SENDING back to QUEUED.
    """

    SCHEDULED = "scheduled"
    """It waits for the time that it was submitted for."""
    QUEUED = "queued"
    """It waits to leave."""
    SENDING = "sending"
    """Its request may have left: this is kept before it leaves."""
    SENT = "sent"
    """Orange took it. Whether it arrived, only a receipt says."""
    FAILED = "failed"
    """Orange refused it, a rule withheld it, or it cannot be sent at all: see `error`."""
    UNKNOWN = "unknown"
    """It left and no clear answer came: it may have been sent."""
    EXPIRED = "expired"
    """Its `expires_at` passed before it left."""
    WITHDRAWN = "withdrawn"
    """It was taken back before it left."""

    @property
    def waits(self) -> bool:
        """Whether the message has not left and may still leave."""
        return self in (State.SCHEDULED, State.QUEUED)

    @property
    def finished(self) -> bool:
        """Whether the message has its result. A receipt or a person can still settle UNKNOWN."""
        return not self.waits and self is not State.SENDING


@attrs.frozen
class Outcome:
    """
    The result of a message, or where it is on its way.

    Attributes:
        reference: the message's own.
        state: where it is.
        resource_id: Orange's id of it, when SENT.
        error: what its future raises, when FAILED, UNKNOWN, EXPIRED or WITHDRAWN.
        settled_by: what told that an UNKNOWN message was SENT: a "receipt", or a "person".
        delivery: the receipt that brought it furthest; only a durable outbox knows of receipts.
    """

    reference: str
    state: State
    resource_id: ResourceId | None = None
    error: OrangeSMSError | None = None
    settled_by: Literal["receipt", "person"] | None = None
    delivery: DeliveryReceipt | None = None

    @property
    def in_doubt(self) -> bool:
        """Whether nobody knows if it was sent; of a 201 without an id, it is certain."""
        return isinstance(self.error, OutcomeUnknown) and not self.error.accepted


def expired(reference: str) -> Outcome:
    """Say that the time of a message ran out before it could be sent."""
    error = MessageExpired("its time ran out before it could be sent")
    return Outcome(reference, State.EXPIRED, error=error)


def withdrawn(reference: str) -> Outcome:
    """Say that a message was taken back before it was sent."""
    error = MessageWithdrawn("withdrawn before it was sent")
    return Outcome(reference, State.WITHDRAWN, error=error)


def unknown(reference: str, why: str, cause: BaseException | None = None) -> Outcome:
    """Say that a message may have been sent."""
    error = OutcomeUnknown(why)
    error.__cause__ = cause
    return Outcome(reference, State.UNKNOWN, error=error)


def not_again(reference: str, cause: BaseException | None = None) -> Outcome:
    """Say that a message may have been sent once, and was not sent a second time."""
    return unknown(reference, "it was sent once with unknown outcome, and then not again", cause)
