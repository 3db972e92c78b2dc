"""Finds the message of a receipt whose resource id no message has, if there is no doubt."""

from collections.abc import Iterable

import attrs

from orange_sms_async.outcomes import State
from orange_sms_async.receipts import REPORTED_WITHIN


@attrs.frozen
class Doubtful:
    """
    A message to a number for which a receipt came with a resource id that no message has.

    Attributes:
        reference: the message's reference.
        state: how far it has come.
        attempted_at: when it was first attempted, in seconds since 1970; None if not stored.
        twice: whether it was sent a second time, so that it may have a second, unknown id.
        accepted: whether Orange accepted it, but its id could not be read.
        denied_at: when it left, if a person later said that it was not sent; they may be wrong.
    """

    reference: str
    state: State
    attempted_at: float | None
    twice: bool = False
    accepted: bool = False
    denied_at: float | None = None

    def fits(self, arrived_at: float) -> bool:
        """Tell whether a receipt that came at this time may be the only answer to the message."""
        return (
            self.state is State.UNKNOWN
            and self.attempted_at is not None
            and self.attempted_at <= arrived_at <= self.attempted_at + REPORTED_WITHIN
        )

    def may_own(self, arrived_at: float) -> bool:
        """Tell whether such a receipt may belong to the message, even if it fits another too."""
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
    Return when each resource id was first heard of.

    An id heard of before a message left is not that message's, whatever receipts come later.
    """
    heard: dict[str, float] = {}
    for resource_id, arrived_at in receipts:
        heard[resource_id] = min(heard.get(resource_id, arrived_at), arrived_at)
    return heard


def owners(messages: list[Doubtful], heard: dict[str, float]) -> dict[str, set[str]]:
    """
    Match resource ids to unknown messages to the same number, if that is certain.

    Args:
        messages: all messages to the number that a receipt might belong to.
        heard: ids that no message has, and when a receipt first named each.

    Returns:
        References, with the ids that are certainly theirs. Two ids for one message are one too
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
