"""
Delivery receipts in Starlette.

Run it with `uvicorn --no-access-log receipts_starlette:app`, and set RECEIPTS_SECRET in the
environment.
"""

import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from orange_sms_async import ReceiptBook, ReceiptReceiver

book = ReceiptBook()


async def delivery(request: Request) -> JSONResponse:
    """List what Orange has said about a message so far."""
    receipts = book.history(request.path_params["resource_id"])
    return JSONResponse([receipt.status for receipt in receipts])


app = Starlette(
    routes=[
        Mount("/receipts", ReceiptReceiver(book.add, secret=os.environ["RECEIPTS_SECRET"])),
        Route("/deliveries/{resource_id}", delivery),
    ]
)
