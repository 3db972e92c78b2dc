"""Rules asked before a message leaves. Each lets it pass, delays it to a date, or withholds it."""

from orange_sms_async.gates.gate import Answer, Asked, Gate, Notes, all_of
from orange_sms_async.gates.rules import Budget, Hours, Open, PerRecipient
from orange_sms_async.gates.suppression import Suppression

__all__ = [
    "Answer", "Asked", "Budget", "Gate", "Hours", "Notes", "Open", "PerRecipient", "Suppression",
    "all_of",
]  # fmt: skip
