"""What comes back: delivery receipts, and replies."""

import enum
from datetime import datetime

import attrs

from orange_sms_async.messages import ResourceId, mask

REPORTED_WITHIN = 86_400.0
"""Seconds from a message to its receipt: "within 24 hours" (Orange), or it never comes."""


class DeliveryStatus(enum.StrEnum):
    """The five statuses that Orange documents; a receipt keeps any other as a plain string."""

    DELIVERED_TO_TERMINAL = "DeliveredToTerminal"
    """The phone has it. Final."""
    DELIVERED_TO_NETWORK = "DeliveredToNetwork"
    """The network has it: another status may follow, or none."""
    DELIVERY_UNCERTAIN = "DeliveryUncertain"
    """Not known, for instance because another network took it over. Final."""
    DELIVERY_IMPOSSIBLE = "DeliveryImpossible"
    """Not delivered before it expired. Final, though it can still arrive later."""
    MESSAGE_WAITING = "MessageWaiting"
    """Still queued by Orange."""


def _documented(status: str) -> "DeliveryStatus | str":
    try:
        return DeliveryStatus(status)
    except ValueError:
        return status


FINAL = {
    DeliveryStatus.DELIVERED_TO_TERMINAL,
    DeliveryStatus.DELIVERY_UNCERTAIN,
    DeliveryStatus.DELIVERY_IMPOSSIBLE,
}


@attrs.frozen(kw_only=True)
class DeliveryReceipt:
    """
    What Orange says of a message, within 24 hours; it may come twice, or out of order.

    Attributes:
        resource_id: the message's own, as its send returned it; "" on some old accounts.
        status: one of the five, or another string as Orange wrote it.
        address: the recipient, "tel:+2250701020304".
    """

    resource_id: ResourceId
    status: DeliveryStatus | str = attrs.field(converter=_documented)
    address: str = attrs.field(repr=mask)

    @property
    def is_final(self) -> bool:
        """
        Whether Orange normally says no more after this.

        A message can still arrive after DeliveryImpossible, when the phone comes back.
        """
        return self.status in FINAL

    @property
    def delivered(self) -> bool:
        """Whether the phone has the message."""
        return self.status == DeliveryStatus.DELIVERED_TO_TERMINAL


# From less to more: a message never goes back. Impossible says more than uncertain, and a message
# can still arrive after it (Orange); DeliveredToNetwork may be the last word or not.
_RANK: dict[str, int] = {
    status: rank
    for rank, status in enumerate(
        (
            DeliveryStatus.MESSAGE_WAITING,
            DeliveryStatus.DELIVERED_TO_NETWORK,
            DeliveryStatus.DELIVERY_UNCERTAIN,
            DeliveryStatus.DELIVERY_IMPOSSIBLE,
            DeliveryStatus.DELIVERED_TO_TERMINAL,
        )
    )
}


def rank(receipt: DeliveryReceipt) -> int:
    """Tell how far a message has come by a receipt; of several, the highest is its state."""
    return _RANK.get(receipt.status, -1)


@attrs.frozen(kw_only=True)
class InboundMessage:
    """
    A reply (MO) that Orange passes on, where the account has that.

    Attributes:
        sender_address: who wrote, "tel:+267…".
        destination_address: the short number written to, as Orange gives it.
        message: what the person wrote; no repr shows it.
        date_time: when, with its time zone; None where Orange gave none.
        message_id: Orange's id of the reply, where it gave one.
    """

    sender_address: str = attrs.field(repr=mask)
    destination_address: str
    message: str = attrs.field(repr=False)
    date_time: datetime | None = None
    message_id: str | None = None
