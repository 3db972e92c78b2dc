"""An endpoint for delivery receipts, which counts what they say."""

import asyncio
from collections import Counter

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from orange_sms_async import InvalidReceipt, ResourceId, decode_receipt


class ReceiptCounter:
    """
    An ASGI app to give to Orange as the address of receipts.

    Attributes:
        statuses: what the last receipt said of each message.
        final: the messages of which Orange normally says no more.
    """

    def __init__(self) -> None:
        self.statuses: dict[ResourceId, str] = {}
        self.final: set[ResourceId] = set()
        self._arrived = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # no start or end to attend to: uvicorn goes on without
        await Response(status_code=self._take(await Request(scope, receive).body()))(
            scope, receive, send
        )

    def _take(self, body: bytes) -> int:
        try:
            receipt = decode_receipt(body)
        except InvalidReceipt:
            return 400
        self.statuses[receipt.resource_id] = str(receipt.status)
        if receipt.is_final:
            self.final.add(receipt.resource_id)
            self._arrived.set()
        return 200

    async def wait_for(self, accepted: set[ResourceId], seconds: float) -> None:
        """Wait until Orange has said its last word on all of them, or so long."""
        try:
            async with asyncio.timeout(seconds):
                while not accepted <= self.final:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            pass

    def counts(self) -> Counter[str]:
        return Counter(self.statuses.values())
