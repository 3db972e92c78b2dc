"""
A web application whose queue Prometheus can see at `/metrics`.

Run it with `uvicorn monitoring_prometheus:app`. It needs
`pip install 'orange-sms-async[prometheus]'`. Let only your own network reach `/metrics`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI, Request
from prometheus_client import CollectorRegistry, make_asgi_app
from pydantic import BaseModel

from orange_sms_async import Client, OutboundMessage, SendQueue
from orange_sms_async.telemetry.prometheus import register

registry = CollectorRegistry()


class State(TypedDict):
    """What every request finds in `request.state`."""

    queue: SendQueue


class Greeting(BaseModel):
    """The body of `POST /greetings`."""

    to: str


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[State]:
    """Open one queue, measured from its first message on."""
    async with Client.from_env() as client:
        queue = SendQueue(client)
        collector = register(queue, registry=registry)
        collector.units_left(await client.contracts())
        async with queue:
            yield {"queue": queue}


app = FastAPI(lifespan=lifespan)
app.mount("/metrics", make_asgi_app(registry))


@app.post("/greetings", status_code=201)
async def greet(greeting: Greeting, request: Request) -> dict[str, str]:
    """Send a message."""
    queue: SendQueue = request.state.queue
    return {"resource_id": await queue.send(OutboundMessage(greeting.to, "Bonjour"))}
