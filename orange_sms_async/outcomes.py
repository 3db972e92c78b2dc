"""How far a message has come, and its result."""

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
"""What to do with a message whose outcome is unknown: report it, or send it once more."""


class Priority(enum.IntEnum):
    """The lanes of a queue. A message leaves when no message is ready in a lane above."""

    URGENT = 0
    """One-time codes."""
    NORMAL = 1
    """The lane of a message submitted without a priority."""
    BULK = 2
    """Campaigns: the lane of `queue.bulk`."""


class State(enum.StrEnum):
    """
    How far a message has come.

    SCHEDULED → QUEUED → SENDING → SENT | FAILED | UNKNOWN; or EXPIRED, WITHDRAWN before SENDING.
    A message that Orange certainly did not take goes back from SENDING to QUEUED.
    """

    SCHEDULED = "scheduled"
    """It waits for the date that it was submitted for."""
    QUEUED = "queued"
    """It waits to leave."""
    SENDING = "sending"
    """Its request may have left. A durable outbox stores this state before the request leaves."""
    SENT = "sent"
    """Orange accepted it. Only a receipt says whether it arrived."""
    FAILED = "failed"
    """Orange refused it, a rule withheld it, or it cannot be sent at all: see `error`."""
    UNKNOWN = "unknown"
    """It left, but no clear answer came. It may have been sent."""
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
    The result of a message, or how far it has come.

    Attributes:
        reference: the message's reference.
        state: how far it has come.
        resource_id: Orange's id of it, when SENT.
        error: what its future raises, when FAILED, UNKNOWN, EXPIRED or WITHDRAWN.
        settled_by: for an UNKNOWN message that became SENT: whether a "receipt" or a "person" said
            so.
        delivery: the receipt with the furthest status. Only a durable outbox keeps receipts.
    """

    reference: str
    state: State
    resource_id: ResourceId | None = None
    error: OrangeSMSError | None = None
    settled_by: Literal["receipt", "person"] | None = None
    delivery: DeliveryReceipt | None = None

    @property
    def in_doubt(self) -> bool:
        """Whether nobody knows if it was sent. After a 201 without an id, it certainly was."""
        return isinstance(self.error, OutcomeUnknown) and not self.error.accepted


def expired(reference: str) -> Outcome:
    """Report that a message expired before it could be sent."""
    error = MessageExpired("its time ran out before it could be sent")
    return Outcome(reference, State.EXPIRED, error=error)


def withdrawn(reference: str) -> Outcome:
    """Report that a message was withdrawn before it was sent."""
    error = MessageWithdrawn("withdrawn before it was sent")
    return Outcome(reference, State.WITHDRAWN, error=error)


def unknown(reference: str, why: str, cause: BaseException | None = None) -> Outcome:
    """Report that a message may have been sent."""
    error = OutcomeUnknown(why)
    error.__cause__ = cause
    return Outcome(reference, State.UNKNOWN, error=error)


def not_again(reference: str, cause: BaseException | None = None) -> Outcome:
    """Report that a message may have been sent once, and was not sent a second time."""
    return unknown(reference, "it was attempted, with unknown outcome, and not sent again", cause)
