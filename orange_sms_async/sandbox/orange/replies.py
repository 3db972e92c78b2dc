"""Recipients' replies, posted to the user's endpoint as Orange posts them (MO)."""

import datetime as dt
import json
import random
import re
from collections.abc import Callable

import attrs

from orange_sms_async.sandbox.orange.evidence import Recent, Reply
from orange_sms_async.sandbox.orange.inbox import Inbox
from orange_sms_async.sandbox.orange.posting import Endpoint
from orange_sms_async.sandbox.settings import COUNTRIES, SENDER_NUMBER, Settings

_ADDRESS = re.compile(r"(?:tel:)?\+?([1-9][0-9]{7,14})")


@attrs.define(eq=False, kw_only=True)
class Replies:
    """
    Posts replies, and remembers the endpoint's answers.

    Attributes:
        settings: where replies go.
        endpoint: posts them.
        inbox: tells who was sent a message, and from which number.
        chance: makes up their ids.
        on_posted: called for each reply.
        posted: the remembered replies, in order.
    """

    settings: Settings
    endpoint: Endpoint
    inbox: Inbox
    chance: random.Random
    on_posted: Callable[[Reply], None]
    posted: Recent[Reply] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.posted = Recent(self.settings.keep)

    async def post(self, address: str, text: str) -> Reply:
        """
        Post a reply from a number.

        Raises:
            ValueError: it is not a number, or there is no URL to post to.
        """
        found = _ADDRESS.fullmatch(address)
        if found is None:
            raise ValueError("write the number as +2250701020304")
        url = self.settings.reply_url or self.settings.receipt_url
        if url is None:
            raise ValueError("no reply_url was set")
        return await self._post(url, f"tel:+{found[1]}", text)

    async def _post(self, url: str, address: str, text: str) -> Reply:
        message_id, to = f"{self.chance.getrandbits(96):024x}", self._answered_number(address)
        body = _body(message_id, address, to, text)
        posted = await self.endpoint.post(url, body)
        reply = Reply(
            message_id=message_id,
            address=address,
            destination_address=to,
            text=text,
            time=posted.time,
            wall_time=posted.wall_time,
            body=body,
            answer=posted.answer,
            answer_body=posted.answer_body,
            error=posted.error,
        )
        self.posted.append(reply)
        self.on_posted(reply)
        return reply

    def _answered_number(self, address: str) -> str:
        """Return the sender that last wrote to this address, without its `tel:` (captured)."""
        last = next(self.inbox.newest_first(address=address), None)
        if last is not None:
            return last.sent.sender_address.removeprefix("tel:")
        code = address.removeprefix("tel:+")[:3]
        return f"+{code if code in COUNTRIES else '225'}{SENDER_NUMBER}"


def _body(message_id: str, address: str, to: str, text: str) -> str:
    message = {
        "dateTime": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "destinationAddress": to,
        "messageId": message_id,
        "message": text,
        "senderAddress": address,
    }
    content = {"inboundSMSMessageNotification": {"inboundSMSMessage": message}}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))
