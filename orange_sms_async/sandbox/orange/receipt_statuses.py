"""What becomes of delivery receipts that do not simply come, once, in order."""

import random

import attrs

# What becomes of a message is written in the last two digits of its recipient.
_STATUSES = {
    "99": ("DeliveryImpossible",),
    "98": ("DeliveryUncertain",),
    "97": ("MessageWaiting", "DeliveredToTerminal"),
}
_DELIVERED = ("DeliveredToTerminal",)

_share = attrs.field(default=0.0, validator=[attrs.validators.ge(0.0), attrs.validators.le(1.0)])


def statuses_for(address: str) -> tuple[str, ...]:
    """Say what the receipts for this recipient say, one after the other."""
    return _STATUSES.get(address[-2:], _DELIVERED)


@attrs.frozen(kw_only=True)
class ReceiptFaults:
    """
    Each a share of all, from 0 to 1.

    Attributes:
        doubled: of receipts, posted twice.
        lost: of receipts, never posted.
        late: of receipts, posted `late_by` seconds later.
        reordered: of messages whose last word comes first, and MessageWaiting after it.
        before_answer: of messages whose first receipt is posted before they are answered.
        status: what all receipts say instead, also one that Orange does not document.
    """

    doubled: float = _share
    lost: float = _share
    late: float = _share
    late_by: float = attrs.field(default=60.0, validator=attrs.validators.ge(0.0))
    reordered: float = _share
    before_answer: float = _share
    status: str | None = None

    def statuses(self, address: str, chance: random.Random) -> list[str]:
        said = list(statuses_for(address))
        if self.status is not None:
            said = [self.status] * len(said)
        if happens(self.reordered, chance):
            # The trap for whoever takes the newest word for the last one.
            said = [said[-1], "MessageWaiting"]
        return said


def happens(share: float, chance: random.Random) -> bool:
    """Decide; what never happens takes nothing from the course of a seed."""
    return share > 0 and chance.random() < share
