"""Send SMS through Orange's API for Africa and the Middle East."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orange_sms_async import events, gates
    from orange_sms_async._wire import decode_inbound, decode_receipt
    from orange_sms_async.account import Contract, PurchaseOrder, UsageStatistics
    from orange_sms_async.auth import ClientCredentials
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
        OutboxUnusable,
        OutcomeUnknown,
        QueueClosed,
        QueueFull,
        Refused,
        RequestRejected,
        ServiceUnavailable,
        Throttled,
        TokenExpired,
        Withheld,
    )
    from orange_sms_async.messages import OutboundMessage, ResourceId, SentMessage
    from orange_sms_async.outbox.postgres import PostgresOutbox
    from orange_sms_async.outbox.sqlite import SqliteOutbox
    from orange_sms_async.outcomes import Outcome, Priority, State
    from orange_sms_async.pacing import Pacer
    from orange_sms_async.receipts import DeliveryReceipt, DeliveryStatus, InboundMessage
    from orange_sms_async.receiver import ReceiptBook, ReceiptReceiver
    from orange_sms_async.segments import count_segments
    from orange_sms_async.sendqueue import QueueStatistics, SendQueue, SendReport

__version__ = "0.1.0"

# A name is resolved on first use, so that importing one does not load what the others need.
_MODULES = {
    "AccessDenied": "errors",
    "AuthenticationFailed": "errors",
    "Client": "client",
    "ClientCredentials": "auth",
    "ConnectionFailed": "errors",
    "Contract": "account",
    "ContractRefused": "errors",
    "Country": "countries",
    "DeliveryReceipt": "receipts",
    "DeliveryStatus": "receipts",
    "InboundMessage": "receipts",
    "InvalidMessage": "errors",
    "InvalidReceipt": "errors",
    "MessageExpired": "errors",
    "MessageWithdrawn": "errors",
    "NotSent": "errors",
    "OrangeSMSError": "errors",
    "OutboundMessage": "messages",
    "OutboxUnusable": "errors",
    "Outcome": "outcomes",
    "OutcomeUnknown": "errors",
    "Pacer": "pacing",
    "Priority": "outcomes",
    "PostgresOutbox": "outbox.postgres",
    "PurchaseOrder": "account",
    "QueueClosed": "errors",
    "QueueFull": "errors",
    "QueueStatistics": "sendqueue",
    "ReceiptBook": "receiver",
    "ReceiptReceiver": "receiver",
    "Refused": "errors",
    "RequestRejected": "errors",
    "ResourceId": "messages",
    "SendQueue": "sendqueue",
    "SendReport": "sendqueue",
    "SentMessage": "messages",
    "ServiceUnavailable": "errors",
    "SqliteOutbox": "outbox.sqlite",
    "State": "outcomes",
    "Throttled": "errors",
    "TokenExpired": "errors",
    "UsageStatistics": "account",
    "Withheld": "errors",
    "count_segments": "segments",
    "decode_inbound": "_wire",
    "decode_receipt": "_wire",
}

__all__ = [
    "AccessDenied", "AuthenticationFailed", "Client", "ClientCredentials", "ConnectionFailed",
    "Contract", "ContractRefused", "Country", "DeliveryReceipt", "DeliveryStatus", "InboundMessage",
    "InvalidMessage", "InvalidReceipt", "MessageExpired", "MessageWithdrawn", "NotSent",
    "OrangeSMSError", "OutboundMessage", "OutboxUnusable", "Outcome", "OutcomeUnknown", "Pacer",
    "PostgresOutbox", "Priority", "PurchaseOrder", "QueueClosed", "QueueFull", "QueueStatistics",
    "ReceiptBook", "ReceiptReceiver", "Refused", "RequestRejected", "ResourceId", "SendQueue",
    "SendReport", "SentMessage", "ServiceUnavailable", "SqliteOutbox", "State", "Throttled",
    "TokenExpired", "UsageStatistics", "Withheld", "count_segments", "decode_inbound",
    "decode_receipt", "events", "gates",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name in ("events", "gates"):
        return import_module(f"orange_sms_async.{name}")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
