"""Messages in, one paced stream out, futures back."""

from orange_sms_async.sendqueue.bulk import Bulk, SendReport
from orange_sms_async.sendqueue.queue import QueueStatistics, Sender, SendQueue

__all__ = ["Bulk", "QueueStatistics", "SendQueue", "SendReport", "Sender"]
