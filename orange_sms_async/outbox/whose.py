"""Which message a receipt is of, where none has its resource id: said only where it is certain."""

from collections.abc import Iterable

import attrs

from orange_sms_async.outcomes import State
from orange_sms_async.receipts import REPORTED_WITHIN


@attrs.frozen
class Doubtful:
    """
    A message to a number for which a receipt came with a resource id that no message has.

    Attributes:
        reference: of the message.
        state: where it is.
        attempted_at: seconds since 1970, of its first attempt; None where that was not kept.
        twice: whether it was sent a second time, so that it may have two ids and only one known.
        accepted: whether Orange took it, and its id could not be read.
        denied_at: when it left before a person called it not sent; they may be wrong.
    """

    reference: str
    state: State
    attempted_at: float | None
    twice: bool = False
    accepted: bool = False
    denied_at: float | None = None

    def fits(self, arrived_at: float) -> bool:
        """Tell whether a receipt that came then may be its only answer."""
        return (
            self.state is State.UNKNOWN
            and self.attempted_at is not None
            and self.attempted_at <= arrived_at <= self.attempted_at + REPORTED_WITHIN
        )

    def may_own(self, arrived_at: float) -> bool:
        """Tell whether a receipt that came then may be its own, whatever else that fits."""
        return (
            self.state is State.SENDING
            or self.twice
            or self.attempted_at is None
            or self.accepted
            # However early: the clock may have been put back since.
            or (self.denied_at is not None and arrived_at <= self.denied_at + REPORTED_WITHIN)
        )


def first_heard(receipts: Iterable[tuple[str, float]]) -> dict[str, float]:
    """
    Tell when each resource id was heard of first.

    What was heard of before a message left is not its own, whatever is said of it later.
    """
    heard: dict[str, float] = {}
    for resource_id, arrived_at in receipts:
        heard[resource_id] = min(heard.get(resource_id, arrived_at), arrived_at)
    return heard


def owners(messages: list[Doubtful], heard: dict[str, float]) -> dict[str, set[str]]:
    """
    Tell which resource ids must be of which unknown message to the same number.

    Args:
        messages: all to the number that a receipt might be of.
        heard: ids that no message has, and when a receipt first named each.

    Returns:
        References, with the ids that are certainly theirs. Two ids of one message are one too
        many: nobody can say which is right.
    """
    found: dict[str, set[str]] = {}
    for resource_id, arrived_at in heard.items():
        if reference := _only_candidate(messages, arrived_at):
            found.setdefault(reference, set()).add(resource_id)
    return found


def _only_candidate(messages: list[Doubtful], arrived_at: float) -> str | None:
    fitting = [message for message in messages if message.fits(arrived_at)]
    if len(fitting) != 1:
        return None
    if any(message.may_own(arrived_at) for message in messages if message is not fitting[0]):
        return None
    return fitting[0].reference
