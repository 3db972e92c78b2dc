"""An Orange to develop against: its API, account, limits and receipts, on this machine."""

from orange_sms_async.sandbox.orange.ledger import Contract
from orange_sms_async.sandbox.orange.receipt_statuses import ReceiptFaults
from orange_sms_async.sandbox.sandbox import Sandbox

__all__ = ["Contract", "ReceiptFaults", "Sandbox"]
