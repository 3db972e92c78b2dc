"""
Delivery receipts in Django, served by ASGI.

Run it with `uvicorn --no-access-log receipts_django:application`, and set RECEIPTS_SECRET in the
environment. In your project, what follows `get_asgi_application` belongs in its `asgi.py`.
"""

import os
from typing import Any

from django.conf import settings  # type: ignore[import-untyped]
from django.core.asgi import get_asgi_application  # type: ignore[import-untyped]
from django.http import HttpRequest, JsonResponse  # type: ignore[import-untyped]
from django.urls import path  # type: ignore[import-untyped]

from orange_sms_async import ReceiptBook, ReceiptReceiver

book = ReceiptBook()


async def delivery(_: HttpRequest, resource_id: str) -> JsonResponse:
    """List what Orange has said about a message so far."""
    return JsonResponse([str(receipt.status) for receipt in book.history(resource_id)], safe=False)


urlpatterns = [path("deliveries/<str:resource_id>", delivery)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["localhost", "127.0.0.1"])

django = get_asgi_application()
receiver = ReceiptReceiver(book.add, secret=os.environ["RECEIPTS_SECRET"])


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Pass receipts, and the server's start and end, to the receiver: Django handles neither."""
    if scope["type"] == "lifespan" or scope["path"].startswith("/receipts/"):
        await receiver(scope, receive, send)
    else:
        await django(scope, receive, send)
