"""An Orange to develop against: its API, account, limits and receipts, on this machine."""

from orange_sms_async.sandbox.account import Contract
from orange_sms_async.sandbox.orange import Sandbox
from orange_sms_async.sandbox.receipt_faults import ReceiptFaults

__all__ = ["Contract", "ReceiptFaults", "Sandbox"]
