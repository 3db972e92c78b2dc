"""The phases of a queue's life, and where each of its messages is."""

import asyncio
import enum
from collections.abc import Callable

import anyio
import attrs

from orange_sms_async.messages import OutboundMessage, ResourceId
from orange_sms_async.outcomes import Outcome, Priority


class Phase(enum.IntEnum):
    """The phases of a queue's life, in their order."""

    NEW = 0
    OPEN = 1
    """Admits and sends."""
    DRAINING = 2
    """Admits nothing more, and sends what waits."""
    STOPPED = 3
    """Sends nothing more; what is on the wire finishes."""
    ENDED = 4


class Place(enum.Enum):
    """Where a message of this queue is."""

    BEING_KEPT = enum.auto()
    """The outbox is about to store it."""
    WAITING = enum.auto()
    CLAIMED = enum.auto()
    """From its claim until it is settled or put back."""
    IN_DOUBT = enum.auto()
    """It may have been sent once, and waits to be sent again."""


@attrs.define(eq=False)
class Ticket:
    """
    A message that this queue watches, until it has an outcome or is put back unwatched.

    Attributes:
        room: its lane's room, where it has a place until it is claimed for the first time.
        written: done once a durable outbox has stored it.
        futures: one for each time it was submitted here.
        expiry: the timer that expires it, if it has an `expires_at`.
        on_given_up: called with its reference when one of the futures is cancelled or done.
        not_before: the earliest time it may leave, in seconds since 1970; 0 for at once.
        ready_at: when it became ready to leave, on the loop's clock.
        ours: whether it was submitted here.
    """

    message: OutboundMessage
    priority: Priority
    place: Place
    room: anyio.Semaphore | None = None
    written: asyncio.Future[Outcome | None] | None = None
    futures: list[asyncio.Future[ResourceId]] = attrs.field(factory=list)
    expiry: asyncio.TimerHandle | None = None
    on_given_up: Callable[[str], object] = id
    not_before: float = 0.0
    ready_at: float = 0.0
    ours: bool = True

    @property
    def unwanted(self) -> bool:
        """Whether none of its submitters here waits for it any more."""
        return bool(self.futures) and all(map(asyncio.Future.cancelled, self.futures))

    def given_up(self, _: asyncio.Future[ResourceId]) -> None:
        self.on_given_up(self.message.reference)

    def leave_lane(self) -> None:
        if self.room:
            self.room.release()
            self.room = None

    def end(self, resource_id: ResourceId | None, error: BaseException | None) -> None:
        self.leave_lane()
        if self.expiry:
            self.expiry.cancel()
        for future in self.futures:
            if future.done():
                continue
            future.remove_done_callback(self.given_up)
            if error:
                future.set_exception(error)
                future.exception()  # retrieved: nobody has to await every future
            elif resource_id is not None:
                future.set_result(resource_id)
