"""A queue at one moment, in numbers."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import attrs

from orange_sms_async.events import WaitingFor
from orange_sms_async.outbox import Outbox
from orange_sms_async.outcomes import Priority, State
from orange_sms_async.sendqueue.sender import Sender
from orange_sms_async.sendqueue.tickets import Place
from orange_sms_async.sendqueue.watch import Watch

Ends = Callable[[Mapping[Priority, int], float, float], float]
"""Returns when the last waiting message leaves, at a pace and from a time on."""


@attrs.frozen(kw_only=True)
class QueueStatistics:
    """
    A queue at one moment.

    Attributes:
        waiting: messages not on the wire yet, by lane.
        oldest: how many seconds the oldest message has been ready to leave, by lane; 0 if none is.
            A message that waits for a date does not count. One submitted elsewhere counts from its
            first attempt here.
        in_flight: messages on the wire.
        sent: accepted by Orange since the queue was opened. The next four count from then, too. A
            message that was unknown until its receipt came counts as unknown and as sent.
        throttled: attempts that Orange throttled since the queue was opened.
        pace: slots a second at the current spacing; 0 if this process only submits.
        guard: how much further apart slots are than the rate requires, as a share.
        has_turn: whether this is the process that sends from the outbox.
        waiting_for: why nothing leaves now, although messages wait; None while they leave.
        waiting_words: the same in words. If another process has the turn and sends nothing, it
            says which one.
        stopped: why the queue sends nothing more, in words; None while it sends, or after its
            owner closed it.
        cause: what stopped it.
        estimated_end: when the last waiting message leaves at this pace, including what the gate
            will hold back. Scheduled messages count as if they could leave now. None if no message
            waits, and while nothing leaves.
    """

    waiting: Mapping[Priority, int]
    oldest: Mapping[Priority, float]
    in_flight: int
    sent: int
    failed: int
    unknown: int
    expired: int
    withdrawn: int
    throttled: int
    pace: float
    guard: float
    has_turn: bool
    waiting_for: WaitingFor | None
    waiting_words: str | None
    stopped: str | None
    cause: BaseException | None
    estimated_end: datetime | None


def look(
    watch: Watch, outbox: Outbox, client: Sender | None, now: float, ends: Ends
) -> QueueStatistics:
    """Describe a queue as it is now."""
    waiting = {priority: outbox.waiting(priority) for priority in Priority}
    pace, guard = (client.pacer.pace, client.pacer.guard) if client else (0.0, 0.0)
    leaving = pace and sum(waiting.values()) and not (watch.waiting_for or watch.stopped)
    return QueueStatistics(
        waiting=waiting,
        oldest=_oldest(watch, waiting if outbox.has_turn else {}),
        in_flight=watch.in_flight,
        sent=watch.counted[State.SENT],
        failed=watch.counted[State.FAILED],
        unknown=watch.counted[State.UNKNOWN],
        expired=watch.counted[State.EXPIRED],
        withdrawn=watch.counted[State.WITHDRAWN],
        throttled=watch.throttled,
        pace=pace,
        guard=guard,
        has_turn=outbox.has_turn,
        waiting_for=watch.waiting_for,
        waiting_words=watch.waiting_words,
        stopped=watch.why_stopped,
        cause=watch.cause,
        estimated_end=datetime.fromtimestamp(ends(waiting, pace, now), UTC) if leaving else None,
    )


def _oldest(watch: Watch, waiting: Mapping[Priority, int]) -> dict[Priority, float]:
    # As known here. Another process may have had the turn and sent what waits again here.
    now = watch.time()
    since = dict.fromkeys(Priority, now)
    since |= {lane: at for lane, at in list(watch.waits_again.items()) if waiting.get(lane)}
    for ticket in list(watch.tickets.values()):
        if ticket.place is not Place.CLAIMED:
            since[ticket.priority] = min(since[ticket.priority], ticket.ready_at)
    return {lane: now - at for lane, at in since.items()}
