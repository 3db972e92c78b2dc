"""The events of a queue: frozen values, one class for each thing that can happen."""

import enum

import attrs

from orange_sms_async.errors import OrangeSMSError, Withheld
from orange_sms_async.messages import OutboundMessage, SentMessage
from orange_sms_async.outcomes import Outcome, Priority
from orange_sms_async.receipts import DeliveryReceipt


@attrs.frozen(kw_only=True)
class Admitted:
    """
    A message was admitted. Reported in the process that submitted it.

    Attributes:
        message: the message.
        priority: its lane.
        not_before: the earliest time it may leave, in seconds since 1970; 0 for at once.
    """

    message: OutboundMessage
    priority: Priority
    not_before: float = 0.0


@attrs.frozen(kw_only=True)
class HeldBack:
    """
    The gate withheld a message. Reported in the process that asked the gate.

    Attributes:
        message: the message.
        priority: its lane.
        error: why, in the rule's words.
        leaving: True if it was about to leave, and so has failed; False if it was not admitted.
    """

    message: OutboundMessage
    priority: Priority
    error: Withheld
    leaving: bool


@attrs.frozen(kw_only=True)
class Claimed:
    """
    A message was taken from its lane, to leave in the next slot.

    Attributes:
        message: the message.
        priority: its lane.
        attempt: how many times it has been claimed, this one included.
        context: the traceparent with which it was submitted.
    """

    message: OutboundMessage
    priority: Priority
    attempt: int
    context: str | None = None


@attrs.frozen(kw_only=True)
class Left:
    """
    The body of a message's request is being written. From now on, it may have been sent.

    Attributes:
        message: the message.
        attempt: the number of this claim of the message.
    """

    message: OutboundMessage
    attempt: int


@attrs.frozen(kw_only=True)
class Answered:
    """
    An attempt ended, with Orange's 201 or an error. The message may never have left.

    Attributes:
        message: the message.
        attempt: the number of this claim of the message.
        sent: Orange's 201; None if there is an error.
        error: `NotSent` (it will be tried again), `Refused` or `OutcomeUnknown`; None if it was
            sent.
    """

    message: OutboundMessage
    attempt: int
    sent: SentMessage | None = None
    error: OrangeSMSError | None = None


@attrs.frozen(kw_only=True)
class PutBack:
    """
    A claim was given up: the message waits again, or another process has it.

    It waits at the head of its lane, or for the date that the gate gave.

    Attributes:
        message: the message.
        attempt: the number of the claim that was given up.
        not_before: the earliest time it may leave, in seconds since 1970, if the gate gave a date;
            otherwise 0.
    """

    message: OutboundMessage
    attempt: int
    not_before: float = 0.0


@attrs.frozen(kw_only=True)
class Settled:
    """
    A message has its outcome. Reported where it was sent and where it was submitted.

    Attributes:
        outcome: the result. A receipt or a person can settle UNKNOWN a second time, as SENT.
        message: the message; None if it was neither submitted nor sent here.
        ready_at: when it became ready to leave, on the event loop's clock; None if it was not
            submitted here.
        here: True if this process settled it; False if it only learned of it.
    """

    outcome: Outcome
    message: OutboundMessage | None = None
    ready_at: float | None = None
    here: bool = True


@attrs.frozen(kw_only=True)
class Reported:
    """
    A receipt was stored. Reported in the process that received it.

    Attributes:
        receipt: as Orange sent it.
        outcome: the outcome of the message it belongs to; None if that is not known.
    """

    receipt: DeliveryReceipt
    outcome: Outcome | None = None


@attrs.frozen(kw_only=True)
class PaceChanged:
    """
    The gap between slots grew by a whole step, because Orange throttled a request.

    Attributes:
        pace: slots a second from now on.
        guard: how much further apart slots are than the rate requires, as a share: 0.01 for 1 %.
    """

    pace: float
    guard: float


class WaitingFor(enum.StrEnum):
    """Why nothing leaves, although messages wait."""

    LINE = "line"
    """There is no connection to Orange."""
    ORANGE = "Orange"
    """Orange is over capacity, or gives no token."""
    RATE = "rate"
    """Orange throttles one request after another."""
    CLOCK = "clock"
    """The clock was set back: scheduled messages wait until it has caught up."""
    DATABASE = "database"
    """The outbox cannot be reached, or another program holds it."""
    TURN = "turn"
    """Another process has the right to send for this account."""


@attrs.frozen(kw_only=True)
class Waiting:
    """
    The queue began to wait: nothing leaves until `GoingOn`.

    Attributes:
        reason: what it waits for.
        error: the error that made it wait; None without one, for example while it has no turn.
        words: the reason in words. For the turn: which process has it, and since when.
    """

    reason: WaitingFor
    error: OrangeSMSError | None = None
    words: str


@attrs.frozen(kw_only=True)
class GoingOn:
    """
    The queue sends again.

    Attributes:
        reason: what it waited for.
    """

    reason: WaitingFor


Event = (
    Admitted
    | HeldBack
    | Claimed
    | Left
    | Answered
    | PutBack
    | Settled
    | Reported
    | PaceChanged
    | Waiting
    | GoingOn
)
"""The argument of `on_event`."""
