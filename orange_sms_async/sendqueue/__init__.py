"""Messages in, one paced stream out, futures back."""

from orange_sms_async.outbox.terms import Terms
from orange_sms_async.sendqueue.bulk import Bulk, SendReport
from orange_sms_async.sendqueue.queue import SendQueue
from orange_sms_async.sendqueue.sender import Sender
from orange_sms_async.sendqueue.statistics import QueueStatistics

__all__ = ["Bulk", "QueueStatistics", "SendQueue", "SendReport", "Sender", "Terms"]
