"""
A web application that sends one-time codes and tells whether they arrived.

Run it with `uvicorn --no-access-log receipts_fastapi:app`: an access log would show the secret.
In the environment, set ORANGE_SMS_CLIENT_ID and ORANGE_SMS_CLIENT_SECRET of the account, and
RECEIPTS_SECRET. Enter `https://your.host/receipts/<RECEIPTS_SECRET>` in Orange's form.

Anyone who can call `POST /codes` can spend your units: require a sign-in, or limit each IP address.
"""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI, Request
from pydantic import BaseModel

from orange_sms_async import (
    Client,
    OutboundMessage,
    Priority,
    ReceiptBook,
    ReceiptReceiver,
    SendQueue,
)

book = ReceiptBook()


class State(TypedDict):
    """What every request finds in `request.state`."""

    queue: SendQueue


class Recipient(BaseModel):
    """The body of `POST /codes`."""

    to: str


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[State]:
    """Open one queue for the life of the process; leaving it sends what still waits."""
    async with Client.from_env() as client, SendQueue(client) as queue:
        yield {"queue": queue}


app = FastAPI(lifespan=lifespan)
app.mount("/receipts", ReceiptReceiver(book.add, secret=os.environ["RECEIPTS_SECRET"]))


@app.post("/codes", status_code=201)
async def send_code(recipient: Recipient, request: Request) -> dict[str, str]:
    """Send a code. `fastapi_app.py` shows how to answer if this fails."""
    code = f"{secrets.randbelow(1_000_000):06}"
    message = OutboundMessage(recipient.to, f"Votre code est {code}, valable 2 minutes.")
    queue: SendQueue = request.state.queue
    return {"resource_id": await queue.send(message, priority=Priority.URGENT)}


@app.get("/codes/{resource_id}")
async def delivery(resource_id: str) -> dict[str, str | bool]:
    """Wait a little for the receipt; a page asks again while `status` is "waiting"."""
    try:
        receipt = await book.delivered(resource_id, timeout=20)
    except TimeoutError:
        return {"status": "waiting", "delivered": False}
    return {"status": receipt.status, "delivered": receipt.delivered}
