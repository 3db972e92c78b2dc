"""What the delivery receipts of a message say, one after the other."""

import random

from orange_sms_async.sandbox.settings import ReceiptFaults

# What becomes of a message is written in the last two digits of its recipient.
_STATUSES = {
    "99": ("DeliveryImpossible",),
    "98": ("DeliveryUncertain",),
    "97": ("MessageWaiting", "DeliveredToTerminal"),
}
_DELIVERED = ("DeliveredToTerminal",)


def statuses_for(address: str) -> tuple[str, ...]:
    """Say what the receipts for this recipient say where nothing goes wrong."""
    return _STATUSES.get(address[-2:], _DELIVERED)


def statuses_with(faults: ReceiptFaults, address: str, chance: random.Random) -> list[str]:
    """Say what they say where something may go wrong."""
    said = list(statuses_for(address))
    if faults.status is not None:
        said = [faults.status] * len(said)
    if happens(faults.reordered, chance):
        # The trap for whoever takes the newest word for the last one.
        said = [said[-1], "MessageWaiting"]
    return said


def happens(share: float, chance: random.Random) -> bool:
    """Decide; what never happens takes nothing from the course of a seed."""
    return share > 0 and chance.random() < share
