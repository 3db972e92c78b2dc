"""What does telemetry cost per message?"""

import asyncio
import operator
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import get_args

from _clients import AtOnce
from _results import keep
from _table import table
from _virtual import sms
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.trace import (
    Link,
    SpanKind,
    Tracer,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import CollectorRegistry

from orange_sms_async import SendQueue
from orange_sms_async.events import Event
from orange_sms_async.telemetry.opentelemetry import instrument
from orange_sms_async.telemetry.prometheus import register

MESSAGES, WAVE, ROUNDS = 5_000, 50, 7
KINDS = get_args(Event)
LISTENED, SPANS = 5.0, 1.5  # µs, times
TEXT = "Bonjour Awa, votre rendez-vous est demain a 10h30 au centre de sante de Cocody. Merci."
SUBMIT = {
    "messaging.system": "orange_sms",
    "messaging.operation.name": "submit",
    "messaging.operation.type": "create",
    "messaging.destination.name": "tel:+2250000",
    "server.address": "api.orange.com",
    "orange_sms.country": "CIV",
    "orange_sms.priority": "NORMAL",
}
SEND = SUBMIT | {"messaging.operation.name": "send", "orange_sms.segments": 1}


def heard(_: Event) -> None:
    """Listen, and do nothing."""


class Nowhere(SpanExporter):
    """Keeps nothing, or the garbage collector would be measured."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002 -- theirs
        return SpanExportResult.SUCCESS


def provider() -> TracerProvider:
    traces = TracerProvider(shutdown_on_exit=False)
    traces.add_span_processor(SimpleSpanProcessor(Nowhere()))
    return traces


async def sent(prepare: Callable[[SendQueue], object]) -> float:
    messages = [sms(TEXT) for _ in range(MESSAGES)]
    queue = SendQueue(AtOnce(), capacity=MESSAGES)
    prepare(queue)
    began = time.process_time()
    async with queue:
        # In waves, or the garbage collector would walk over all that waits.
        for first in range(0, MESSAGES, WAVE):
            for message in messages[first : first + WAVE]:
                await queue.submit(message)
            await queue.join()
    return (time.process_time() - began) / MESSAGES * 1e6


def bare_spans(tracer: Tracer) -> float:
    """Spans as a person would write them: the context travels beside the message."""
    began, propagator = time.process_time(), TraceContextTextMapPropagator()
    for _ in range(MESSAGES):
        carrier: dict[str, str] = {}
        submitted = tracer.start_span("submit tel:+2250000", None, SpanKind.PRODUCER, dict(SUBMIT))
        propagator.inject(carrier, set_span_in_context(submitted))
        submitted.end()
        link = Link(get_current_span(propagator.extract(carrier)).get_span_context())
        span = tracer.start_span("send tel:+2250000", None, SpanKind.CLIENT, dict(SEND), [link])
        span.set_attribute("messaging.message.id", "id")
        span.end()
    return (time.process_time() - began) / MESSAGES * 1e6


def costs() -> dict[str, list[float]]:
    ways: dict[str, Callable[[SendQueue], object]] = {
        "nobody listens": id,
        "events listened to": lambda queue: queue.listeners.add(dict.fromkeys(KINDS, heard)),
        "Prometheus": lambda queue: register(queue, registry=CollectorRegistry()),
        "OpenTelemetry": lambda queue: instrument(queue, tracer_provider=provider()),
    }
    took: dict[str, list[float]] = {name: [] for name in [*ways, "its bare spans"]}
    for _ in range(ROUNDS):
        for name, prepare in ways.items():
            took[name].append(asyncio.run(sent(prepare)))
        took["its bare spans"].append(bare_spans(provider().get_tracer("bare")))
    return took


def show(took: dict[str, list[float]]) -> None:
    rows = [(name, *(f"{of(costs):.1f}" for of in (min, median))) for name, costs in took.items()]
    table(["µs a message", "least", "median"], rows)

    # From minima and from rounds: other work on this machine affects both sides of a round.
    nobody, bare = took["nobody listens"], took["its bare spans"]
    for name in ("events listened to", "Prometheus"):
        least = min(took[name]) - min(nobody)
        middle = median(map(operator.sub, took[name], nobody))
        print(f"{name}: {least:.1f} µs a message, {middle:.1f} in the median", end=" ")
        print(f"(target: at most {LISTENED:g}).")
    seen = took["OpenTelemetry"]
    least = (min(seen) - min(nobody)) / min(bare)
    middle = median(map(operator.truediv, map(operator.sub, seen, nobody), bare))
    print(f"OpenTelemetry: {least:.2f} × its bare spans, {middle:.2f} in the median", end=" ")
    print(f"(target: at most {SPANS:g}).")
    figures = {name: {"least": min(costs), "median": median(costs)} for name, costs in took.items()}
    keep("telemetry", {"µs": figures, "of_spans": least})


def main() -> None:
    show(costs())


if __name__ == "__main__":
    main()
