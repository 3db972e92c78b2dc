"""
Delivery receipts in Litestar.

Run it with `uvicorn --no-access-log receipts_litestar:app`, and set RECEIPTS_SECRET in the
environment.
"""

import os

from litestar import Litestar, asgi, get
from litestar.params import FromPath

from orange_sms_async import ReceiptBook, ReceiptReceiver

book = ReceiptBook()
receiver = ReceiptReceiver(book.add, secret=os.environ["RECEIPTS_SECRET"])


@get("/deliveries/{resource_id:str}")
async def delivery(resource_id: FromPath[str]) -> list[str]:
    """List what Orange has said about a message so far."""
    return [receipt.status for receipt in book.history(resource_id)]


app = Litestar([asgi("/receipts", is_mount=True, copy_scope=True)(receiver), delivery])
