"""What does it cost a message to be seen, and a million of them to be summed up?"""

import asyncio
import contextlib
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

from _clients import AtOnce
from _results import keep
from _table import check, table
from _virtual import sms
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.trace import Link, SpanKind, Tracer
from prometheus_client import CollectorRegistry

from orange_sms_async import SendQueue
from orange_sms_async.events import Event
from orange_sms_async.outbox.sqlite import settling
from orange_sms_async.outbox.sqlite.database import connect
from orange_sms_async.outbox.sqlite.schema import OUTBOX
from orange_sms_async.telemetry.opentelemetry import instrument
from orange_sms_async.telemetry.prometheus import register

MESSAGES, WAVE, ROUNDS, ROWS = 5_000, 50, 7, 1_000_000
KINDS = get_args(Event)
LISTENED, SPANS, SUMMARY = 5.0, 1.5, 2.0  # µs, times, seconds
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


class Nowhere(SpanExporter):
    """Keeps nothing, or the collector of garbage would be measured."""

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
        # In waves, or the collector of garbage would walk over all that waits.
        for first in range(0, MESSAGES, WAVE):
            for message in messages[first : first + WAVE]:
                await queue.submit(message)
            await queue.join()
    return (time.process_time() - began) / MESSAGES * 1e6


def bare_spans(tracer: Tracer) -> float:
    began = time.process_time()
    for _ in range(MESSAGES):
        submitted = tracer.start_span("submit tel:+2250000", None, SpanKind.PRODUCER, dict(SUBMIT))
        submitted.end()
        links = [Link(submitted.get_span_context())]
        span = tracer.start_span("send tel:+2250000", None, SpanKind.CLIENT, dict(SEND), links)
        span.set_attribute("messaging.message.id", "id")
        span.end()
    return (time.process_time() - began) / MESSAGES * 1e6


def costs() -> dict[str, float]:
    ways: dict[str, Callable[[SendQueue], object]] = {
        "nobody listens": id,
        "events listened to": lambda queue: queue.listeners.add(dict.fromkeys(KINDS, id)),
        "Prometheus": lambda queue: register(queue, registry=CollectorRegistry()),
        "OpenTelemetry": lambda queue: instrument(queue, tracer_provider=provider()),
    }
    best = dict.fromkeys([*ways, "its bare spans"], float("inf"))
    for _ in range(ROUNDS):
        for name, prepare in ways.items():
            best[name] = min(best[name], asyncio.run(sent(prepare)))
        spans = bare_spans(provider().get_tracer("bare"))
        best["its bare spans"] = min(best["its bare spans"], spans)
    return best


def filled(db: sqlite3.Connection) -> None:
    chance, now = random.Random(7), 1.8e9
    starts = ["+22507", "+22505", "+22177", "+23769", "+22670", "+22376", "+26134"]
    statuses = ["DeliveredToTerminal"] * 85 + ["DeliveryImpossible"] * 10 + [None] * 5

    def rows() -> list[tuple[object, ...]]:
        found = []
        for n in range(ROWS):
            status, at = chance.choice(statuses), now - n
            to = f"{chance.choice(starts)}{n:07}"
            arrived = at + chance.lognormvariate(2.5, 1.2) if status else None
            found.append((f"{n:032x}", to, TEXT, f"{n:036x}", at, at, status, arrived))
        return found

    db.execute("BEGIN")
    db.executemany(
        "INSERT INTO message (reference, state, priority, not_before, expires_at, on_unknown, "
        "on_net, recipient, text, resource_id, attempted_at, finished_at, delivery, delivered_at) "
        "VALUES (?, 'sent', 2, 0, 9e999, 'report', 0, ?, ?, ?, ?, ?, ?, ?)",
        rows(),
    )
    db.execute("COMMIT")


def summed_up() -> float:
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.closing(connect(Path(folder) / "sms.db", OUTBOX)) as opened,
    ):
        filled(opened.db)
        took = []
        for _ in range(3):
            began = time.perf_counter()
            counts = settling.delivery(opened.db, 0.0, 1.8e9)
            took.append(time.perf_counter() - began)
    check(sum(each.accepted for each in counts if not each.prefix) == ROWS, "each is counted once")
    return min(took)


def main() -> None:
    best = costs()
    nobody = best["nobody listens"]
    table(["", "µs a message"], [(name, f"{cost:.1f}") for name, cost in best.items()])
    listened = best["events listened to"] - nobody
    seen = (best["OpenTelemetry"] - nobody) / best["its bare spans"]
    print(f"Events listened to cost {listened:.1f} µs a message (wanted: at most {LISTENED:g}).")
    print(f"Prometheus costs {best['Prometheus'] - nobody:.1f} µs a message.")
    print(f"OpenTelemetry costs {seen:.2f} × its bare spans (wanted: at most {SPANS:g}).")
    seconds = summed_up()
    print(f"{ROWS:,} messages are summed up in {seconds:.2f} s (wanted: at most {SUMMARY:g}).")
    keep("telemetry", {"µs": best, "of_spans": seen, "summary_s": seconds})


if __name__ == "__main__":
    main()
