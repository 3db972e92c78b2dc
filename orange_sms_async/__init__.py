"""Send SMS through Orange's API for Africa and the Middle East."""

from orange_sms_async._wire import decode_inbound, decode_receipt
from orange_sms_async.account import Contract, PurchaseOrder, UsageStatistics
from orange_sms_async.auth import ClientCredentials
from orange_sms_async.bulk import SendReport
from orange_sms_async.client import Client
from orange_sms_async.countries import Country
from orange_sms_async.errors import (
    AccessDenied,
    AuthenticationFailed,
    ConnectionFailed,
    ContractRefused,
    InvalidMessage,
    InvalidReceipt,
    MessageExpired,
    MessageWithdrawn,
    NotSent,
    OrangeSMSError,
    OutcomeUnknown,
    QueueClosed,
    QueueFull,
    Refused,
    RequestRejected,
    ServiceUnavailable,
    Throttled,
    TokenExpired,
)
from orange_sms_async.messages import OutboundMessage, ResourceId, SentMessage
from orange_sms_async.outcomes import Outcome, Priority
from orange_sms_async.pacing import Pacer
from orange_sms_async.receipts import DeliveryReceipt, DeliveryStatus, InboundMessage
from orange_sms_async.segments import count_segments
from orange_sms_async.sendqueue import SendQueue

__version__ = "0.1.0"

__all__ = [
    "AccessDenied", "AuthenticationFailed", "Client", "ClientCredentials", "ConnectionFailed",
    "Contract", "ContractRefused", "Country", "DeliveryReceipt", "DeliveryStatus",
    "InboundMessage", "InvalidMessage", "InvalidReceipt", "MessageExpired", "MessageWithdrawn",
    "NotSent", "OrangeSMSError", "OutboundMessage", "Outcome", "OutcomeUnknown", "Pacer",
    "Priority", "PurchaseOrder", "QueueClosed", "QueueFull", "Refused", "RequestRejected",
    "ResourceId", "SendQueue", "SendReport", "SentMessage", "ServiceUnavailable", "Throttled",
    "TokenExpired", "UsageStatistics", "count_segments", "decode_inbound", "decode_receipt",
]  # fmt: skip
