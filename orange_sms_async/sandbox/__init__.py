"""An Orange to develop against: its API, account, limits and receipts, on this machine."""

from orange_sms_async.sandbox.sandbox import Sandbox
from orange_sms_async.sandbox.settings import Contract, ReceiptFaults

__all__ = ["Contract", "ReceiptFaults", "Sandbox"]
