"""Posts delivery receipts to the endpoint of the sender."""

import asyncio
import json
import random
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import anyio.lowlevel
import attrs

from orange_sms_async.sandbox.orange.evidence import Receipt, Recent
from orange_sms_async.sandbox.orange.inbox import Message
from orange_sms_async.sandbox.orange.posting import Endpoint
from orange_sms_async.sandbox.orange.receipt_statuses import happens, statuses_for, statuses_with
from orange_sms_async.sandbox.settings import Settings


@attrs.define(eq=False, kw_only=True)
class Notifier:
    """
    Posts receipts, and remembers the endpoint's answers.

    A receipt is posted once, unless `receipt_faults` say otherwise. Orange does not document
    whether it repeats a receipt that is not answered with 200, and reports conflict.

    Attributes:
        settings: where and when receipts go, and what goes wrong with them. At most `keep`
            messages wait for their receipts; the receipts of any more are lost.
        chance: decides which receipts go wrong.
        url_for: returns the URL for the receipts of a sender address; None for none.
        on_posted: called for each receipt.
        endpoint: posts them.
        start: starts work that ends with the sandbox.
        posted: the remembered receipts, in order.
        waiting: how many messages wait for their receipts.
    """

    settings: Settings
    chance: random.Random
    url_for: Callable[[str], str | None]
    on_posted: Callable[[Message, Receipt], None]
    start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    endpoint: Endpoint
    posted: Recent[Receipt] = attrs.field(init=False)
    waiting: int = attrs.field(default=0, init=False)
    _following: set[asyncio.Task[None]] = attrs.field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        self.posted = Recent(self.settings.keep)

    async def prepare(self) -> None:
        """Load what the first receipt needs; loading it later would delay a message."""
        if self.settings.receipt_url is not None:
            self.endpoint.connected()
            await anyio.lowlevel.checkpoint()

    async def begin(self, message: Message) -> None:
        """Start the receipts of a message; post the first now if it must precede the answer."""
        settings, chance = self.settings, self.chance
        url = self.url_for(message.sent.sender_address)
        if url is None or self.waiting >= settings.keep:
            return
        faults = settings.receipt_faults
        sent = message.sent
        usual = statuses_for(sent.address, on_net=sent.on_net, strict=settings.strict)
        statuses = statuses_with(faults, usual, chance)
        if happens(faults.before_answer, chance):
            await self.post(message, statuses.pop(0))
        if statuses:
            following = self.start(self._follow_all(message, statuses))
            self._following.add(following)
            following.add_done_callback(self._following.discard)

    async def _follow_all(self, message: Message, statuses: Sequence[str]) -> None:
        self.waiting += 1
        try:
            for status in statuses:
                await self._follow(message, status)
        finally:
            self.waiting -= 1

    async def _follow(self, message: Message, status: str) -> None:
        faults = self.settings.receipt_faults
        late_by = faults.late_by if happens(faults.late, self.chance) else 0
        await asyncio.sleep(self.settings.receipt_delay + late_by)
        if happens(faults.lost, self.chance):
            return
        receipt = await self.post(message, status)
        if happens(faults.doubled, self.chance):
            receipt = await self.post(message, status)
        for _ in range(faults.repeats):
            if receipt.answer == 200:
                return
            await asyncio.sleep(self.settings.receipt_delay)
            receipt = await self.post(message, status)

    async def post(self, message: Message, status: str) -> Receipt:
        """
        Post one receipt now.

        Raises:
            ValueError: there is no URL to post it to.
        """
        url = self.url_for(message.sent.sender_address)
        if url is None:
            raise ValueError("no receipt_url was set")
        unnamed = happens(self.settings.receipt_faults.unnamed, self.chance)
        body = _body(message, status, unnamed=unnamed)
        posted = await self.endpoint.post(url, body)
        receipt = Receipt(
            resource_id=message.sent.resource_id,
            address=message.sent.address,
            status=status,
            time=posted.time,
            wall_time=posted.wall_time,
            body=body,
            answer=posted.answer,
            answer_body=posted.answer_body,
            error=posted.error,
        )
        self.posted.append(receipt)
        self.on_posted(message, receipt)
        return receipt

    def forget(self) -> None:
        """Drop the receipts of all messages until now, and forget those posted."""
        for task in list(self._following):
            task.get_loop().call_soon_threadsafe(task.cancel)
        self.posted.clear()


def _body(message: Message, status: str, *, unnamed: bool) -> str:
    notification = {
        "callbackData": "" if unnamed else message.sent.resource_id,
        "deliveryInfo": {"address": message.sent.address, "deliveryStatus": status},
    }
    content = {"deliveryInfoNotification": notification}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))
