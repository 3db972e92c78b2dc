"""Clients and a transport without a network, so that only the layers above them are measured."""

import asyncio
import json
import math

import httpx

from orange_sms_async import OutboundMessage, Pacer, ResourceId, SentMessage


class AtOnce:
    """Answers at once; the resource id is the message's reference."""

    taken = 0
    timeout = 30.0

    def __init__(self) -> None:
        self.pacer = Pacer(math.inf)

    async def ready(self) -> None:
        pass

    async def attempt(self, message: OutboundMessage) -> SentMessage:
        self.taken += 1
        return SentMessage(resource_id=ResourceId(message.reference))


class Silent:
    """Is never ready: everything waits."""

    timeout = 30.0

    def __init__(self) -> None:
        self.pacer = Pacer()

    async def ready(self) -> None:
        await asyncio.Event().wait()

    async def attempt(self, message: OutboundMessage) -> SentMessage:
        raise NotImplementedError


class Instant(httpx.AsyncBaseTransport):
    """Answers every message at once, with the bytes that a server would send."""

    taken = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        if request.url.path.startswith("/oauth"):
            return httpx.Response(200, json={"access_token": "x" * 600, "expires_in": "3600"})
        self.taken += 1
        url = f"{request.url}/{self.taken}"
        body = json.dumps({"outboundSMSMessageRequest": {"resourceURL": url}}).encode()
        headers = {"Content-Type": "application/json", "X-OAPI-Request-Id": "request"}
        return httpx.Response(201, headers=headers, stream=httpx.ByteStream(body))
