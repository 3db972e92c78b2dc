"""The last messages Orange took, each with its evidence, to view and search."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import attrs

from orange_sms_async.sandbox.orange.evidence import (
    MOST_BYTES,
    Exchange,
    Receipt,
    Recent,
    Sent,
    weight,
)
from orange_sms_async.sandbox.orange.units import encoding

# "We generated a default sender name associated with your account" (D).
DEFAULT_SENDER_NAME = "SMS 123456"

_RECEIPTS = 20  # that are remembered of one message


@attrs.define(eq=False, kw_only=True)
class Message:
    """
    A message in the inbox.

    Attributes:
        number: counts up from 1, including forgotten messages.
        time: when it arrived, in seconds since 1970.
        sent: the message itself.
        exchange: the request that brought it, and the answer.
        receipts: the last receipts posted for it.
    """

    number: int
    time: float
    sent: Sent
    exchange: Exchange
    receipts: list[Receipt] = attrs.field(factory=list)

    @property
    def weight(self) -> int:
        """How many bytes it takes, without its receipts."""
        heads = (text for header in self.exchange.headers for text in header)
        return self.exchange.weight + weight(self.sent.text, *heads)

    @property
    def sender_name(self) -> str:
        """As the handset shows it."""
        return (self.sent.sender_name or DEFAULT_SENDER_NAME).replace("+", " ")

    @property
    def status(self) -> str:
        """The status in its last receipt; empty without one."""
        return self.receipts[-1].status if self.receipts else ""

    def speaks_of(self, sought: str) -> bool:
        """Say whether its number, text or resource id contains this lower-case text."""
        sent = self.sent
        return any(
            sought in said.casefold() for said in (sent.address, sent.text, sent.resource_id)
        )

    def shown(self) -> dict[str, Any]:
        """Return what a list of messages shows about it."""
        sent = self.sent
        return {
            "number": self.number,
            "resource_id": sent.resource_id,
            "address": sent.address,
            "sender_name": self.sender_name,
            "sender_address": sent.sender_address,
            "text": sent.text,
            "segments": sent.segments,
            "encoding": encoding(sent.text),
            "time": self.time,
            "on_net": sent.on_net,
            "status": self.status,
        }


@attrs.define(eq=False)
class Inbox:
    """
    The last `keep` messages, fewer if they are large.

    Attributes:
        keep: how many messages to remember.
        sent: the same messages, as tests read them.
        on_change: called for every message that is new or has a new receipt.
        last_number: the number of the newest message.
    """

    keep: int
    sent: Recent[Sent] = attrs.field(init=False)
    on_change: Callable[[Message], None] | None = attrs.field(default=None, init=False)
    last_number: int = attrs.field(default=0, init=False)
    _messages: OrderedDict[str, Message] = attrs.field(factory=OrderedDict, init=False)
    _weight: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.sent = Recent(self.keep)

    def add(self, sent: Sent, exchange: Exchange, time: float) -> Message:
        """Add a message with the next number."""
        self.last_number += 1
        message = Message(number=self.last_number, time=time, sent=sent, exchange=exchange)
        self.restore(message)
        self._changed(message)
        return message

    def restore(self, message: Message) -> None:
        """Add a message of an earlier run, with its number of then."""
        self.sent.append(message.sent)
        self._messages[message.sent.resource_id] = message
        self._weight += message.weight
        while len(self._messages) > self.keep or (
            self._weight > MOST_BYTES and len(self._messages) > 1
        ):
            _, forgotten = self._messages.popitem(last=False)
            self._weight -= forgotten.weight

    def add_receipt(self, message: Message, receipt: Receipt) -> None:
        """Note that a receipt was posted for a message."""
        message.receipts.append(receipt)
        del message.receipts[:-_RECEIPTS]
        self._changed(message)

    def _changed(self, message: Message) -> None:
        if self.on_change is not None:
            self.on_change(message)

    @property
    def first_number(self) -> int:
        """The number of the oldest remembered message, or the next number."""
        return next((m.number for m in self._messages.values()), self.last_number + 1)

    def find(self, resource_id: str) -> Message:
        """
        Return a remembered message.

        Raises:
            KeyError: it is not remembered.
        """
        return self._messages[resource_id]

    def newest_first(self, sought: str = "", address: str | None = None) -> Iterator[Message]:
        """Yield the messages to this address that contain the text."""
        sought = sought.casefold()
        for message in reversed(self._messages.values()):
            if address in (None, message.sent.address) and message.speaks_of(sought):
                yield message

    def clear(self) -> None:
        """Forget all messages; numbering continues."""
        self._messages.clear()
        self._weight = 0
        self.sent.clear()
