"""
A web application whose messages OpenTelemetry can see.

Run it with `uvicorn monitoring_opentelemetry:app`. It needs `opentelemetry-sdk` and
`pip install 'orange-sms-async[otel]'`. Here spans are printed; your exporter sends them on.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI, Request
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from pydantic import BaseModel

from orange_sms_async import Client, OutboundMessage, SendQueue
from orange_sms_async.telemetry.opentelemetry import instrument

traces = TracerProvider()
traces.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))


class State(TypedDict):
    """What every request finds in `request.state`."""

    queue: SendQueue


class Greeting(BaseModel):
    """The body of `POST /greetings`."""

    to: str


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[State]:
    """Open one queue, traced from its first message on."""
    async with Client.from_env() as client:
        queue = SendQueue(client)
        instrument(queue, tracer_provider=traces)
        async with queue:
            yield {"queue": queue}


app = FastAPI(lifespan=lifespan)


@app.post("/greetings", status_code=201)
async def greet(greeting: Greeting, request: Request) -> dict[str, str]:
    """Send a message."""
    queue: SendQueue = request.state.queue
    return {"resource_id": await queue.send(OutboundMessage(greeting.to, "Bonjour"))}
