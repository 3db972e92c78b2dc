"""Delivery receipts and replies, as Orange posts them."""

import enum
from datetime import datetime

import attrs

from orange_sms_async.messages import ResourceId, mask

REPORTED_WITHIN = 86_400.0
"""Seconds within which a receipt comes, if it comes: "within 24 hours" (Orange)."""


class DeliveryStatus(enum.StrEnum):
    """The five statuses that Orange documents. A receipt keeps any other as a plain string."""

    DELIVERED_TO_TERMINAL = "DeliveredToTerminal"
    """The phone has it. Final."""
    DELIVERED_TO_NETWORK = "DeliveredToNetwork"
    """The network has it. Another status may follow, or none."""
    DELIVERY_UNCERTAIN = "DeliveryUncertain"
    """Unknown, for example because another network took over. Final."""
    DELIVERY_IMPOSSIBLE = "DeliveryImpossible"
    """Not delivered before it expired. Final, although it can still arrive later."""
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
    Orange's report on a message, within 24 hours. It may come twice, or out of order.

    Attributes:
        resource_id: the message's id, as sending it returned; "" on some old accounts.
        status: one of the five, or any other string that Orange wrote.
        address: the recipient, "tel:+2250701020304".
    """

    resource_id: ResourceId
    status: DeliveryStatus | str = attrs.field(converter=_documented)
    address: str = attrs.field(repr=mask)

    @property
    def is_final(self) -> bool:
        """
        Whether this is normally Orange's last word.

        A message can still arrive after DeliveryImpossible, when the phone is back.
        """
        return self.status in FINAL

    @property
    def delivered(self) -> bool:
        """Whether the phone has the message."""
        return self.status == DeliveryStatus.DELIVERED_TO_TERMINAL


# From less to more: a message never goes back. DeliveryImpossible says more than DeliveryUncertain.
# After it, a message can still arrive (Orange). DeliveredToNetwork may be the last word or not.
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
    """Rank a receipt by how far its message has come. Of several receipts, the highest counts."""
    return _RANK.get(receipt.status, -1)


@attrs.frozen(kw_only=True)
class InboundMessage:
    """
    A reply from a recipient (MO), if the account receives replies.

    Attributes:
        sender_address: who wrote, "tel:+267…".
        destination_address: the short number they wrote to, as Orange gives it.
        message: what the person wrote. No repr shows it.
        date_time: when, with its time zone; None if Orange gave none.
        message_id: Orange's id of the reply, if it gave one.
    """

    sender_address: str = attrs.field(repr=mask)
    destination_address: str
    message: str = attrs.field(repr=False)
    date_time: datetime | None = None
    message_id: str | None = None
