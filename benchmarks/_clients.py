"""Two clients without a network, so that what is measured is the queue."""

import asyncio

from orange_sms_async import OutboundMessage, ResourceId, SentMessage


class AtOnce:
    """Answers at once; the resource id is the message's reference."""

    taken = 0

    async def ready(self) -> None:
        pass

    async def attempt(self, message: OutboundMessage) -> SentMessage:
        self.taken += 1
        return SentMessage(resource_id=ResourceId(message.reference))


class Silent:
    """Is never ready: everything waits."""

    async def ready(self) -> None:
        await asyncio.Event().wait()

    async def attempt(self, message: OutboundMessage) -> SentMessage:
        raise NotImplementedError
