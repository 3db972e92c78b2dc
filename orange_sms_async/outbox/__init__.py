"""Where messages wait and outcomes are kept: what every such place does."""

import math
from collections.abc import AsyncIterator, Callable, Collection, Hashable
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import attrs

from orange_sms_async.messages import OutboundMessage, ResourceId
from orange_sms_async.outbox.summary import DeliveryCount
from orange_sms_async.outcomes import OnUnknown, Outcome, Priority, State
from orange_sms_async.receipts import DeliveryReceipt

if TYPE_CHECKING:  # slow to import, and who only puts messages needs no loop
    import asyncio

    from orange_sms_async.gates.gate import Notes


@attrs.define(eq=False)  # not frozen: that takes twice as long to make
class Entry:
    """
    A message with what was said when it was submitted.

    Attributes:
        message: the message.
        priority: its lane.
        not_before: seconds on the queue's clock; 0 for at once.
        expires_at: seconds on the queue's clock; infinite for never.
        on_unknown: what to do once when its outcome is unknown.
        context: a W3C traceparent of who submitted it.
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
    A message taken from its lane, to be attempted once. It is SENDING until its claim is over.

    Attributes:
        entry: the message, as it was submitted.
        owner: who claimed it: one opening of an outbox.
        attempt: how many times it has been claimed, this one included.
        again: whether it may have been sent before, so that nothing but SENT can be said of it
            with certainty.
        too_late: tells whether the turn it was claimed in may be another's by now.
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
    A message as a durable outbox holds it.

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
    What `SendQueue` needs of the place where its messages wait.

    Every change is kept when its await returns. Times are seconds on the queue's clock. Any number
    of queues may submit to one outbox, withdraw, ask and keep receipts; one at a time has the turn,
    and claims. What a claim came to is kept only while that claim holds: it names who claimed and
    which attempt it was, so that nobody settles or puts back what is in other hands by now.
    """

    durable: bool
    """Whether messages outlive the process; if not, who stops waiting for one withdraws it."""

    look_every: float
    """Seconds after which what other processes did is to be looked for; infinite for never."""

    sent_lately: bool
    """Whether something may have left within the last second before the turn was had."""

    rate: float | None
    """Messages a second that may be sent from it; None leaves that to the client."""

    @property
    def notes(self) -> "Notes":
        """What the rules of a gate keep: the same in every process that has it open."""
        ...

    @property
    def guard(self) -> float | None:
        """
        How much wider than the rate slots are spaced, as far as others learned; None if nobody did.

        Read once the turn is had. Who has it says here what it learns.
        """
        ...

    @guard.setter
    def guard(self, guard: float | None) -> None: ...

    @property
    def away(self) -> bool:
        """Whether it cannot be reached for now, and what is asked of it waits."""
        ...

    @property
    def has_turn(self) -> bool:
        """Whether this opening is the one that may claim."""
        ...

    @property
    def place(self) -> Hashable:
        """What tells it from the other outboxes of this process, however often it is opened."""
        ...

    async def open(self, now: float, retention: timedelta) -> None:
        """
        Make ready.

        Raises:
            OutboxUnusable: names the file and the cause.
        """
        ...

    async def aclose(self) -> None:
        """Let go of what `open` took, the turn included."""

    async def take_turn(self, now: float) -> bool:
        """Have the turn from now on, unless another has it; tell whether it is had."""
        ...

    async def holder(self, now: float) -> str | None:
        """
        Name the process that has the turn, and since when, if it sends nothing although it could.

        For processes without the turn. None while messages leave, or none waits.
        """
        ...

    async def tidy(self, now: float) -> list[Outcome]:
        """
        Settle what expired, and what was left on the wire by who had the turn before.

        Done by the process with the turn: when it gets the turn, and every second from then on.
        """
        ...

    def changed(self) -> bool:
        """Tell whether others may have done something since this was asked last; at once."""
        ...

    async def news(self, awaited: Collection[str]) -> list[Outcome]:
        """
        Tell what others settled, or receipts brought further, since this was asked last.

        Args:
            awaited: references that somebody here waits for; nothing else is told.
        """
        ...

    @property
    def unfinished(self) -> int:
        """Count the messages that wait or are on the wire."""
        ...

    def waiting(self, priority: Priority) -> int:
        """Count the messages of a lane that wait, those for later included."""
        ...

    def add(self, entry: Entry) -> "asyncio.Future[Outcome | None] | None":
        """
        Keep a message whose reference is not watched by this queue already.

        If that takes time, the future gives the outcome of the message if an earlier queue
        kept its reference, or raises `InvalidMessage` if that was with another number or text.
        """
        ...

    async def ready_at(self) -> float | None:
        """Tell from when on a message can be claimed; None when none waits."""
        ...

    async def claim(self, now: float) -> Claim | None:
        """Take the oldest ready message of the most urgent lane."""
        ...

    async def put_back(self, claim: Claim, *, again: bool, not_before: float = 0.0) -> None:
        """
        Return a claimed message to the head of its lane, unless the claim is over.

        Args:
            claim: as it was given.
            again: whether the message may have been sent, as its next claim will say.
            not_before: from when on it may be claimed again; 0 for at once.
        """

    async def settle(self, claim: Claim, outcome: Outcome, now: float) -> list[Outcome]:
        """
        Store the outcome of a claimed message.

        A claim that is over changes nothing, but that what really happened (SENT, FAILED) still
        settles an UNKNOWN message.

        Returns:
            It as kept, and others that this settled: where receipts are kept, one of them may
            tell that an unknown message was sent. Nothing if the message is in other hands.
        """
        ...

    async def keep(self, receipt: DeliveryReceipt, now: float) -> tuple[Outcome, bool] | None:
        """Keep a receipt; return the outcome of its message, and whether it settled that."""
        ...

    async def withdraw(self, outcome: Outcome, now: float) -> bool:
        """Keep that a message was withdrawn or expired, if it waits and cannot have been sent."""
        ...

    async def resolve(self, reference: str, sent: ResourceId | None, now: float) -> list[Outcome]:
        """
        Keep what a person found out about an UNKNOWN message; None: it waits again.

        Returns:
            It as kept, and others that this settled; nothing if there is no such message.
        """
        ...

    async def find(self, reference: str) -> Outcome:
        """
        Tell where a message is on its way.

        Raises:
            KeyError: nothing is kept under this reference.
        """
        ...

    async def delivery(self, since: float, now: float) -> list[DeliveryCount]:
        """Say what receipts tell of the messages that were accepted since."""
        ...

    def outcomes(self, state: State | None) -> AsyncIterator[Outcome]:
        """Tell of all messages, or those in one state, in the order they were submitted."""
        ...
