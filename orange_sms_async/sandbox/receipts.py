"""Delivery receipts, posted by themselves to the endpoint of whoever sent the message."""

import asyncio
from collections.abc import Callable

import anyio.lowlevel
import attrs
import httpx

from orange_sms_async.sandbox.evidence import Receipt, Sent

# What becomes of a message is written in the last two digits of its recipient.
_STATUSES = {
    "99": ("DeliveryImpossible",),
    "98": ("DeliveryUncertain",),
    "97": ("MessageWaiting", "DeliveredToTerminal"),
}
_DELIVERED = ("DeliveredToTerminal",)

# A choice: how long Orange waits for an endpoint is not documented.
_PATIENCE = 10.0


def statuses_for(address: str) -> tuple[str, ...]:
    """Say what the receipts for this recipient say, one after the other."""
    return _STATUSES.get(address[-2:], _DELIVERED)


@attrs.define(eq=False)
class Receipts:
    """
    Posts receipts and remembers how they were received.

    A receipt is posted once: whether Orange repeats it after another answer than 200 is not
    documented, and reports conflict.
    """

    url: str | None
    delay: Callable[[], float]
    transport: httpx.AsyncBaseTransport | None = None
    posted: list[Receipt] = attrs.field(factory=list, init=False)
    _client: httpx.AsyncClient | None = attrs.field(default=None, init=False)
    _loop: asyncio.AbstractEventLoop | None = attrs.field(default=None, init=False)

    async def prepare(self) -> None:
        """Load what the first receipt needs: later it would hold up a message that arrives."""
        if self.url is not None:
            self._connected()
            await anyio.lowlevel.checkpoint()

    async def follow(self, sent: Sent) -> None:
        """Post all receipts of a message, each after the delay."""
        for status in statuses_for(sent.address):
            await asyncio.sleep(self.delay())
            await self.post(sent, status)

    async def post(self, sent: Sent, status: str) -> Receipt:
        """Post one receipt now."""
        answer, error = None, None
        time = asyncio.get_running_loop().time()
        try:
            response = await self._connected().post(self.url or "", json=_body(sent, status))
            answer = response.status_code
        except Exception as refused:  # noqa: BLE001 -- the endpoint is the user's: it may do anything
            error = type(refused).__name__
        receipt = Receipt(
            resource_id=sent.resource_id,
            address=sent.address,
            status=status,
            time=time,
            answer=answer,
            error=error,
        )
        self.posted.append(receipt)
        return receipt

    def _connected(self) -> httpx.AsyncClient:
        """One client for each event loop: a connection cannot move to another."""
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._loop = loop
            self._client = httpx.AsyncClient(
                transport=self.transport, timeout=_PATIENCE, trust_env=False
            )
        return self._client

    async def aclose(self) -> None:
        if self._client is not None and self._loop is asyncio.get_running_loop():
            await self._client.aclose()
        self._client = None


def _body(sent: Sent, status: str) -> dict[str, object]:
    return {
        "deliveryInfoNotification": {
            "callbackData": sent.resource_id,
            "deliveryInfo": {"address": sent.address, "deliveryStatus": status},
        }
    }
