"""What a queue needs from a client."""

import math
from typing import Protocol

from orange_sms_async.messages import OutboundMessage, SentMessage
from orange_sms_async.pacing import Pacer

_MOST_WORKERS = 200  # as many as Client has connections: a worker without one would leave late
_UNPACED_WORKERS = 20  # httpx's cost per request grows with its connections


class Sender(Protocol):
    """
    What a queue needs from a client. A wrapper must forward all four.

    Attributes:
        pacer: the account's, shared by all that send for it.
        timeout: seconds that an attempt may take.
    """

    @property
    def pacer(self) -> Pacer: ...

    @property
    def timeout(self) -> float: ...

    async def ready(self) -> None:
        """Return once a message can leave at once."""

    async def attempt(self, message: OutboundMessage) -> SentMessage:
        """Post a message once."""
        ...


def check_sender(client: Sender) -> None:
    """
    Refuse a client that lacks part of a `Sender`: a wrapper would be paced apart from its client.

    Raises:
        TypeError: names what is missing.
    """
    for name in ("ready", "attempt", "pacer", "timeout"):
        if not hasattr(client, name):
            all_four = "ready, attempt, pacer and timeout"
            raise TypeError(f"client: has no {name}; a wrapper must forward {all_four}")


def check_rate(client: Sender, theirs: float | None) -> None:
    """
    Refuse a rate other than that of the outbox; None if the outbox has none.

    Raises:
        ValueError: the rates differ. The error names both.
    """
    if theirs is not None and theirs != (ours := client.pacer.rate):
        raise ValueError(
            f"rate: the client has {ours:g} a second, the account in the outbox {theirs:g}"
        )


def workers_for(client: Sender) -> int:
    """Return how many requests at once use the full rate even if each takes the whole timeout."""
    if math.isinf(client.pacer.rate):
        return _UNPACED_WORKERS
    return math.ceil(min(client.pacer.rate * client.timeout, _MOST_WORKERS))
