"""An Orange to develop against: its API, account, limits and receipts, on this machine."""

from orange_sms_async.sandbox.account import Contract
from orange_sms_async.sandbox.orange import Sandbox

__all__ = ["Contract", "Sandbox"]
