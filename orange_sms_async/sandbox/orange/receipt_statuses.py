"""The statuses of a message's delivery receipts, in order."""

import random
from collections.abc import Container

from orange_sms_async.sandbox.settings import ReceiptFaults, Rule

# The last two digits of the recipient decide what happens to a message.
_STATUSES = {
    "99": ("DeliveryImpossible",),
    "98": ("DeliveryUncertain",),
    "97": ("MessageWaiting", "DeliveredToTerminal"),
}
_DELIVERED = ("DeliveredToTerminal",)


# Since 2021 the first two digits of an Ivorian mobile number are its operator's: 07 is Orange's,
# 05 MTN's, 01 Moov's (the country's numbering plan). For other countries nothing is known here.
_OTHER_NETWORKS = ("tel:+22505", "tel:+22501")


def statuses_for(address: str, *, on_net: bool, strict: Container[Rule]) -> tuple[str, ...]:
    """Return the statuses for this recipient if nothing goes wrong."""
    if on_net and "on_net" in strict and address.startswith(_OTHER_NETWORKS):
        return ("DeliveryImpossible",)
    return _STATUSES.get(address[-2:], _DELIVERED)


def statuses_with(
    faults: ReceiptFaults, usual: tuple[str, ...], chance: random.Random
) -> list[str]:
    """Return the statuses with the faults that may occur."""
    said = list(usual)
    if faults.status is not None:
        said = [faults.status] * len(said)
    if happens(faults.revived, chance):
        # "Behind a DeliveryImpossible status, your SMS can still be well delivered" (D).
        said = ["DeliveryImpossible", "DeliveredToTerminal"]
    if happens(faults.reordered, chance):
        # A trap for clients that take the newest receipt for the final one.
        said = [said[-1], "MessageWaiting"]
    return said


def happens(share: float, chance: random.Random) -> bool:
    """Decide by chance; a share of 0 consumes no random number of a seed."""
    return share > 0 and chance.random() < share
