"""Subscriptions to delivery receipts, which old clients still ask for and current pages omit."""

import random
from collections import OrderedDict
from typing import Any
from urllib.parse import quote, unquote

import attrs

from orange_sms_async.sandbox.orange.answers import Answer, RefusalError, gateway_error, in_json
from orange_sms_async.sandbox.orange.incoming import Incoming
from orange_sms_async.sandbox.orange.wrong import Wrong

_MOST = 1_000  # that are remembered


def _digits(sender: str) -> str:
    """Old clients name a sender with or without its "tel:"."""
    return sender.removeprefix("tel:").removeprefix("+")


@attrs.define
class Subscriptions:
    """
    Where the receipts of a sender address are posted instead of the sandbox's `receipt_url`.

    The forms are those that old clients still send (captured); they are no longer documented.
    """

    _chance: random.Random
    _kept: OrderedDict[str, dict[str, Any]] = attrs.field(factory=OrderedDict, init=False)
    _urls: OrderedDict[str, tuple[str, str]] = attrs.field(factory=OrderedDict, init=False)

    def __len__(self) -> int:
        return len(self._kept)

    def url_for(self, sender_address: str) -> str | None:
        """Return the URL for the receipts of this sender; the newest subscription counts."""
        sender = _digits(sender_address)
        urls = (url for of, url in reversed(self._urls.values()) if of == sender)
        return next(urls, None)

    def clear(self) -> None:
        """Forget all subscriptions."""
        self._kept.clear()
        self._urls.clear()

    def create(self, incoming: Incoming, sender: str) -> Answer:
        """
        Keep a subscription.

        Raises:
            RefusalError: the body is not a subscription.
        """
        content = incoming.json_object()
        subscription = content.get("deliveryReceiptSubscription")
        if not isinstance(subscription, dict):
            raise RefusalError(gateway_error(23), Wrong.NO_SUBSCRIPTION)
        key = f"{self._chance.getrandbits(96):024x}"
        path = f"/smsmessaging/v1/outbound/{unquote(sender)}/subscriptions/{key}"
        callback = subscription.get("callbackReference")
        url = callback.get("notifyURL") if isinstance(callback, dict) else None
        # "Be secured with a signed certificate and start with https://" (D).
        if not isinstance(url, str) or not url.isascii() or not url.startswith("https://"):
            raise RefusalError(gateway_error(24), Wrong.NOTIFY_URL)
        self._kept[key] = {
            "deliveryReceiptSubscription": {
                "callbackReference": {"notifyURL": url},
                "resourceURL": incoming.base + path,
            }
        }
        self._urls[key] = (_digits(unquote(sender)), url)
        if len(self._kept) > _MOST:
            self._urls.popitem(last=False)
            self._kept.popitem(last=False)
        return in_json(201, self._kept[key], (("Location", incoming.base + quote(path)),))

    def read(self, key: str) -> Answer:
        """
        Return a subscription.

        Raises:
            RefusalError: there is no subscription with that key.
        """
        if key not in self._kept:
            raise RefusalError(gateway_error(60), Wrong.NO_SUCH_SUBSCRIPTION)
        return in_json(200, self._kept[key])

    def delete(self, key: str) -> Answer:
        """
        Forget a subscription.

        Raises:
            RefusalError: there is no subscription with that key.
        """
        if self._kept.pop(key, None) is None:
            raise RefusalError(gateway_error(60), Wrong.NO_SUCH_SUBSCRIPTION)
        del self._urls[key]
        return Answer(204, media_type=None)
