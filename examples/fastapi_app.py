"""
A web application that sends one-time codes.

Run it with `uvicorn fastapi_app:app`. The account is in the environment: ORANGE_SMS_CLIENT_ID and
ORANGE_SMS_CLIENT_SECRET, or the settings that `orange-sms sandbox` prints.

Orange allows an account 5 messages a second. A queue in memory paces only its own process: run one
worker. Several workers can share the limit through one file. Each of them then opens this queue:
`SendQueue(client, outbox=SqliteOutbox("sms.db"))`.

Anyone who can call `POST /codes` can spend your units: require a sign-in, or limit each IP address.
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TypedDict

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from orange_sms_async import (
    Client,
    InvalidMessage,
    MessageExpired,
    OrangeSMSError,
    OutboundMessage,
    Priority,
    QueueClosed,
    QueueFull,
    RequestRejected,
    SendQueue,
    Withheld,
    gates,
)

LIFETIME = timedelta(minutes=2)
# Three codes to one number in ten minutes. Bots use many numbers: limit IP addresses in front of
# this app.
RULES = gates.PerRecipient(3, timedelta(minutes=10), lanes=[Priority.URGENT])


class State(TypedDict):
    """What every request finds in `request.state`."""

    queue: SendQueue


class Recipient(BaseModel):
    """The body of `POST /codes`."""

    to: str


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[State]:
    """Open one queue for the life of the process; leaving it sends what still waits."""
    async with Client.from_env() as client, SendQueue(client, gate=RULES) as queue:
        yield {"queue": queue}


app = FastAPI(lifespan=lifespan)


@app.post("/codes", status_code=201)
async def send_code(recipient: Recipient, request: Request) -> dict[str, str]:
    """Send a code before anything less urgent, and not at all once it is too old."""
    queue: SendQueue = request.state.queue
    code = f"{secrets.randbelow(1_000_000):06}"
    expires_at = datetime.now(UTC) + LIFETIME
    message = OutboundMessage(recipient.to, f"Votre code est {code}, valable 2 minutes.")
    # Before it leaves, store a hash of the code and `expires_at` with your user here.
    future = queue.submit_nowait(message, priority=Priority.URGENT, expires_at=expires_at)
    return {"resource_id": await future}


@app.exception_handler(OrangeSMSError)
async def say_why(_: Request, error: OrangeSMSError) -> JSONResponse:
    """Answer with what went wrong; no error of the queue contains a number or a text."""
    match error:
        case InvalidMessage() | RequestRejected():
            status = 422  # most likely the number
        case Withheld():
            status = 429
        case QueueFull() | QueueClosed():
            status = 503
        case MessageExpired():
            status = 504
        case _:  # our account (Refused), or no clear answer (OutcomeUnknown: it may have been sent)
            status = 502
    detail = {"error": type(error).__name__, "detail": str(error)}
    return JSONResponse(detail, status, headers={"Retry-After": "5"} if status == 503 else None)
