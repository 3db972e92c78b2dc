"""What every outbox does: messages wait in it, and their outcomes are kept there."""

import math
from collections.abc import AsyncIterator, Callable, Collection, Hashable
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import attrs

from orange_sms_async.messages import OutboundMessage, ResourceId
from orange_sms_async.outbox.summary import DeliveryCount
from orange_sms_async.outcomes import OnUnknown, Outcome, Priority, State
from orange_sms_async.receipts import DeliveryReceipt

if TYPE_CHECKING:  # slow to import, and code that only puts messages needs no loop
    import asyncio

    from orange_sms_async.gates.gate import Notes


@attrs.define(eq=False)  # not frozen: that takes twice as long to make
class Entry:
    """
    A message with the terms it was submitted on.

    Attributes:
        message: the message.
        priority: its lane.
        not_before: seconds on the queue's clock; 0 for at once.
        expires_at: seconds on the queue's clock; infinite for never.
        on_unknown: what to do, at most once, if its outcome is unknown.
        context: the submitter's W3C traceparent.
    """

    message: OutboundMessage
    priority: Priority
    not_before: float = 0.0
    expires_at: float = math.inf
    on_unknown: OnUnknown = "report"
    context: str | None = None


@attrs.define(eq=False)
class Claim:
    """
    A message taken from its lane, to be attempted once. It is SENDING until the claim is over.

    Attributes:
        entry: the message, as it was submitted.
        owner: the opening of an outbox that claimed it.
        attempt: how many times it has been claimed, this one included.
        again: whether it may have been sent before. If so, SENT is the only outcome that can be
            certain.
        too_late: tells whether another process may have the turn by now.
    """

    entry: Entry
    owner: str
    attempt: int
    again: bool = False
    too_late: Callable[[], bool] = bool

    @property
    def message(self) -> OutboundMessage:
        """The message."""
        return self.entry.message

    @property
    def reference(self) -> str:
        """The message's reference."""
        return self.entry.message.reference


@attrs.frozen
class KeptMessage:
    """
    A message as a durable outbox stores it.

    Attributes:
        to: the recipient; None once forgotten.
        attempted_at: seconds since 1970; None if it never left.
        finished_at: seconds since 1970; None while it waits.
    """

    outcome: Outcome
    to: str | None = attrs.field(repr=False)
    attempted_at: float | None
    finished_at: float | None


class Outbox(Protocol):
    """
    What `SendQueue` needs from the place where its messages wait.

    Every change is kept when its await returns. Times are seconds on the queue's clock. Any number
    of queues may submit, withdraw and look up messages, and store receipts. One at a time has the
    turn, and claims. A claim names its owner and its attempt. Its result is kept only while the
    claim holds, so that nobody settles or puts back a message that another has claimed since.
    """

    durable: bool
    """Whether messages outlive the process. If not, one that nobody waits for is withdrawn."""

    look_every: float
    """Seconds between two looks for what other processes did; infinite for never."""

    sent_lately: bool
    """Whether a message may have left in the last second before this turn began."""

    rate: float | None
    """Messages a second that may be sent from it. None leaves that to the client."""

    @property
    def notes(self) -> "Notes":
        """The notes of a gate's rules: the same in every process that has the outbox open."""
        ...

    @property
    def guard(self) -> float | None:
        """
        How much further apart slots are than the rate asks; None if no process has learned it.

        Read when the turn is taken. The process with the turn sets it to what it learns.
        """
        ...

    @guard.setter
    def guard(self, guard: float | None) -> None: ...

    @property
    def away(self) -> bool:
        """Whether it cannot be reached for now, so that calls wait."""
        ...

    @property
    def has_turn(self) -> bool:
        """Whether this opening is the one that may claim."""
        ...

    @property
    def place(self) -> Hashable:
        """Identifies it among the outboxes of this process, however often it is opened."""
        ...

    async def open(self, now: float, retention: timedelta) -> None:
        """
        Open the outbox.

        Raises:
            OutboxUnusable: names the file and the cause.
        """
        ...

    async def aclose(self) -> None:
        """Release what `open` took, and the turn."""

    async def take_turn(self, now: float) -> bool:
        """Take the turn, unless another has it; return whether this opening has it now."""
        ...

    async def holder(self, now: float) -> str | None:
        """
        Name the process that has the turn, and since when, if it sends nothing although it could.

        For processes without the turn. None while messages leave, or if none waits.
        """
        ...

    async def tidy(self, now: float) -> list[Outcome]:
        """
        Settle what expired, and what the previous sender left on the wire.

        The process with the turn does this when it gets the turn, and then every second.
        """
        ...

    def changed(self) -> bool:
        """Tell, without waiting, whether others may have done something since the last call."""
        ...

    async def news(self, awaited: Collection[str]) -> list[Outcome]:
        """
        Return what others settled, or receipts changed, since the last call.

        Args:
            awaited: references that someone here waits for. Nothing else is returned.
        """
        ...

    @property
    def unfinished(self) -> int:
        """Count the messages that wait or are on the wire."""
        ...

    def waiting(self, priority: Priority) -> int:
        """Count the waiting messages of a lane, including those scheduled for later."""
        ...

    def add(self, entry: Entry) -> "asyncio.Future[Outcome | None] | None":
        """
        Store a message whose reference this queue does not watch yet.

        If that takes time, it returns a future. If an earlier queue stored the reference, the
        future gives that message's outcome, or `InvalidMessage` if its number or text differs.
        """
        ...

    async def ready_at(self) -> float | None:
        """Return the time at which a message can be claimed; None if none waits."""
        ...

    async def claim(self, now: float) -> Claim | None:
        """Take the oldest ready message of the most urgent lane."""
        ...

    async def put_back(self, claim: Claim, *, again: bool, not_before: float = 0.0) -> None:
        """
        Return a claimed message to the head of its lane, unless the claim is over.

        Args:
            claim: the claim to give up.
            again: whether the message may have been sent. Its next claim repeats this.
            not_before: the earliest time it may be claimed again; 0 for at once.
        """

    async def settle(self, claim: Claim, outcome: Outcome, now: float) -> list[Outcome]:
        """
        Store the outcome of a claimed message.

        A claim that is over changes nothing, with one exception: a certain result (SENT, FAILED)
        still settles an UNKNOWN message.

        Returns:
            The outcome as stored, and those of other messages that this settled: a stored receipt
            may show that an unknown message was sent. Nothing if another claim holds the message.
        """
        ...

    async def keep(self, receipt: DeliveryReceipt, now: float) -> tuple[Outcome, bool] | None:
        """Store a receipt; return its message's outcome, and whether the receipt settled it."""
        ...

    async def withdraw(self, outcome: Outcome, now: float) -> bool:
        """Store that a message was withdrawn or expired, if it waits and cannot have been sent."""
        ...

    async def resolve(self, reference: str, sent: ResourceId | None, now: float) -> list[Outcome]:
        """
        Store what a person found out about an UNKNOWN message. With None, it waits again.

        Returns:
            The outcome as stored, and those of other messages that this settled. Nothing if there
            is no such message.
        """
        ...

    async def find(self, reference: str) -> Outcome:
        """
        Return how far a message has come.

        Raises:
            KeyError: the reference is not known.
        """
        ...

    async def delivery(self, since: float, now: float) -> list[DeliveryCount]:
        """Sum up the receipts of messages accepted since a time."""
        ...

    def outcomes(self, state: State | None) -> AsyncIterator[Outcome]:
        """Iterate over all messages, or those in one state, in the order they were submitted."""
        ...
