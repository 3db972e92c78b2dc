"""Subscriptions to delivery receipts, which old clients still ask for and current pages omit."""

import uuid
from typing import Any
from urllib.parse import unquote

import attrs

from orange_sms_async.sandbox.orange.answers import Answer, RefusalError, gateway_error, in_json
from orange_sms_async.sandbox.orange.incoming import Incoming


@attrs.define
class Subscriptions:
    """
    Kept and given back, and without effect: receipts go to the sandbox's `receipt_url`.

    The forms are those of the clients that still send them (seen), not documented any more.
    """

    _kept: dict[str, dict[str, Any]] = attrs.field(factory=dict, init=False)

    def create(self, incoming: Incoming, sender: str) -> Answer:
        """
        Keep a subscription.

        Raises:
            RefusalError: the body is none.
        """
        content = incoming.json_object()
        subscription = content.get("deliveryReceiptSubscription")
        if not isinstance(subscription, dict):
            raise RefusalError(gateway_error(23))
        key = str(uuid.uuid4())
        path = f"/smsmessaging/v1/outbound/{unquote(sender)}/subscriptions/{key}"
        callback = subscription.get("callbackReference")
        url = callback.get("notifyURL") if isinstance(callback, dict) else None
        if not isinstance(url, str) or not url.isascii():
            raise RefusalError(gateway_error(24))
        self._kept[key] = {
            "deliveryReceiptSubscription": {
                "callbackReference": {"notifyURL": url},
                "resourceURL": incoming.base + path,
            }
        }
        return in_json(201, self._kept[key])

    def read(self, key: str) -> Answer:
        """
        Give a subscription back.

        Raises:
            RefusalError: there is none of that key.
        """
        if key not in self._kept:
            raise RefusalError(gateway_error(60))
        return in_json(200, self._kept[key])

    def delete(self, key: str) -> Answer:
        """
        Forget a subscription.

        Raises:
            RefusalError: there is none of that key.
        """
        if self._kept.pop(key, None) is None:
            raise RefusalError(gateway_error(60))
        return Answer(204, media_type=None)
