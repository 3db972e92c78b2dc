"""Delivery receipts: the endpoint they are posted to, and the book in which they are awaited."""

from orange_sms_async.receiver.book import BookStatistics, ReceiptBook
from orange_sms_async.receiver.endpoint import ReceiptReceiver, ReceiptStore, ReceiverStatistics

__all__ = [
    "BookStatistics",
    "ReceiptBook",
    "ReceiptReceiver",
    "ReceiptStore",
    "ReceiverStatistics",
]
