"""A queue's messages as OpenTelemetry's spans, and its numbers as metrics."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

from orange_sms_async.errors import OrangeSMSError
from orange_sms_async.events import Answered, Claimed, Event, PutBack, Reported, Settled
from orange_sms_async.messages import OutboundMessage
from orange_sms_async.outbox import Entry
from orange_sms_async.outcomes import Priority, State
from orange_sms_async.segments import segments_of
from orange_sms_async.sendqueue.queue import SendQueue
from orange_sms_async.sendqueue.statistics import QueueStatistics
from orange_sms_async.telemetry.labels import country_of, error_name, sender_of, status_of
from orange_sms_async.telemetry.recent import Recent

try:
    from opentelemetry import metrics, trace
    from opentelemetry.context import Context
    from opentelemetry.metrics import Meter, MeterProvider, Observation
    from opentelemetry.trace import (
        Link,
        NonRecordingSpan,
        Span,
        SpanContext,
        SpanKind,
        StatusCode,
        TraceFlags,
        Tracer,
        TracerProvider,
        set_span_in_context,
    )
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "telemetry.opentelemetry needs: pip install 'orange-sms-async[otel]'", name=error.name
    ) from error

SCHEMA = "https://opentelemetry.io/schemas/1.44.0"
"""The version of the semantic conventions for messaging whose names are used here."""

_SCOPE = "orange_sms_async"
_ROOT = Context()
# "This metric SHOULD be specified with ExplicitBucketBoundaries of" -- semantic conventions for
# messaging, messaging.client.operation.duration
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_Attributes: TypeAlias = dict[str, str | int]
_Numbers: TypeAlias = Callable[[QueueStatistics], Iterable[tuple[float, dict[str, str]]]]


def instrument(
    queue: SendQueue,
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    server_address: str = "api.orange.com",
) -> None:
    """
    Report what a queue does to OpenTelemetry.

    A submitted message gives a PRODUCER span; its context travels with it through any outbox. Each
    attempt gives a CLIENT span linked to it, and each receipt a CONSUMER span. The metrics are
    `messaging.client.operation.duration`, `messaging.client.sent.messages` and gauges of the
    queue's statistics. None of these contains a number, a text or a reference.

    Args:
        queue: a queue that is not open yet. Earlier events are not reported.
        tracer_provider: makes the spans; by default the one set for the process.
        meter_provider: makes the metrics; by default the one set for the process.
        server_address: the host that requests go to.
    """
    tracer = trace.get_tracer(_SCOPE, tracer_provider=tracer_provider, schema_url=SCHEMA)
    meter = metrics.get_meter(_SCOPE, meter_provider=meter_provider, schema_url=SCHEMA)
    spans = _Spans(tracer, meter, server_address)
    queue.listeners.add(spans.listeners, spans.submitted)
    _observe(queue, meter)


class _Spans:
    def __init__(self, tracer: Tracer, meter: Meter, server_address: str) -> None:
        self._tracer, self._names = tracer, _Names(server_address)
        self._duration = meter.create_histogram(
            "messaging.client.operation.duration",
            "s",
            "Seconds that a request took",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._messages = meter.create_counter(
            "messaging.client.sent.messages", "{message}", "Messages that Orange was asked to send"
        )
        self._attempts: dict[str, tuple[Span, float]] = {}
        self._under_way = Recent[tuple[str, SpanContext]]()
        # As text, which costs the garbage collector nothing.
        self._accepted = Recent[str]()
        self.listeners: dict[type[Event], Callable[[Any], None]] = {
            Claimed: self._claimed,
            Answered: self._answered,
            PutBack: self._put_back,
            Settled: self._settled,
            Reported: self._reported,
        }

    def submitted(self, entry: Entry) -> str | None:
        """Make the span of a submission; return the context that travels with the message."""
        message, parent = entry.message, None
        if entry.context:
            parent = set_span_in_context(NonRecordingSpan(_remote(entry.context)))
        name, attributes = self._names.submit(message, entry.priority)
        span = self._tracer.start_span(name, parent, SpanKind.PRODUCER, attributes)
        span.end()
        made = span.get_span_context()
        if not (context := _traceparent(made)):
            return entry.context
        self._under_way.note(message.reference, (context, made))
        return context

    def _claimed(self, event: Claimed) -> None:
        message = event.message
        name, attributes = self._names.send(message, event.priority)
        # The queue's loop runs in the context of its opener, not of the message.
        span = self._tracer.start_span(
            name, _ROOT, SpanKind.CLIENT, attributes, self._links(message.reference, event.context)
        )
        self._attempts[message.reference] = span, time.perf_counter()

    def _links(self, reference: str, context: str | None) -> list[Link]:
        if not context:
            return []
        # The context of a message submitted in this process need not be parsed.
        if not (known := self._under_way.get(reference)) or known[0] != context:
            known = context, _remote(context)
            self._under_way.note(reference, known)
        return [Link(known[1])]

    def _answered(self, event: Answered) -> None:
        message, sent, error = event.message, event.sent, event.error
        if not (attempt := self._attempts.pop(message.reference, None)):
            return
        span, since = attempt
        if sent is not None:
            span.set_attribute("messaging.message.id", sent.resource_id)
        if request_id := getattr(sent or error, "request_id", None):
            span.set_attribute("orange_sms.request_id", request_id)
        failed = _failed(span, error) if error is not None else None
        span.end()
        timed, counted = self._names.answer(message, failed)
        self._duration.record(time.perf_counter() - since, timed)
        self._messages.add(1, counted)

    def _put_back(self, event: PutBack) -> None:
        # Without an answer there was no request: a span that does not end is not exported.
        self._attempts.pop(event.message.reference, None)

    def _settled(self, event: Settled) -> None:
        outcome = event.outcome
        cut = self._attempts.pop(outcome.reference, None)
        if cut and outcome.state is State.UNKNOWN and outcome.error:
            _failed(cut[0], outcome.error)
            cut[0].end()
        submitted = self._under_way.get(outcome.reference)
        self._under_way.forget(outcome.reference)
        if submitted and outcome.state is State.SENT:
            self._accepted.note(outcome.reference, submitted[0])

    def _reported(self, event: Reported) -> None:
        receipt, outcome = event.receipt, event.outcome
        attributes: _Attributes = {
            "messaging.system": "orange_sms",
            "messaging.operation.name": "receipt",
            "messaging.operation.type": "process",
            "orange_sms.country": country_of(receipt.address),
            "orange_sms.status": status_of(receipt.status),
        }
        if outcome and outcome.resource_id:  # otherwise the id may be anything that anyone posted
            attributes["messaging.message.id"] = outcome.resource_id
        submitted = self._accepted.get(outcome.reference) if outcome else None
        links = [Link(_remote(submitted))] if submitted else []
        self._tracer.start_span("receipt", None, SpanKind.CONSUMER, attributes, links).end()


class _Names:
    """The names and attributes of spans, each made once: they are few, and messages are many."""

    def __init__(self, server_address: str) -> None:
        self._server = server_address
        self._made: dict[tuple[str, str, str, Priority], tuple[str, _Attributes]] = {}
        self._answers: dict[tuple[str, str | None], tuple[_Attributes, _Attributes]] = {}

    def submit(self, message: OutboundMessage, priority: Priority) -> tuple[str, _Attributes]:
        return self._of("submit", "create", message, priority)

    def send(self, message: OutboundMessage, priority: Priority) -> tuple[str, _Attributes]:
        name, attributes = self._of("send", "send", message, priority)
        return name, {**attributes, "orange_sms.segments": segments_of(message.text)}

    def answer(
        self, message: OutboundMessage, error: str | None
    ) -> tuple[_Attributes, _Attributes]:
        """Return the attributes of a request's result, for its duration and for the count."""
        key = sender_of(message.sender_address), error
        if key not in self._answers:
            attributes: _Attributes = {
                "messaging.system": "orange_sms",
                "messaging.operation.name": "send",
                "messaging.destination.name": key[0],
                "server.address": self._server,
            }
            if error:
                attributes["error.type"] = error
            self._answers[key] = {**attributes, "messaging.operation.type": "send"}, attributes
        return self._answers[key]

    def _of(
        self, name: str, type_: str, message: OutboundMessage, priority: Priority
    ) -> tuple[str, _Attributes]:
        key = name, country_of(message.to), sender_of(message.sender_address), priority
        if key not in self._made:
            _, country, sender, _ = key
            attributes: _Attributes = {
                "messaging.system": "orange_sms",
                "messaging.operation.name": name,
                "messaging.operation.type": type_,
                "messaging.destination.name": sender,
                "server.address": self._server,
                "orange_sms.country": country,
                "orange_sms.priority": priority.name,
            }
            self._made[key] = f"{name} {sender}", attributes
        return self._made[key]


def _failed(span: Span, error: OrangeSMSError) -> str:
    name = error_name(error)
    span.set_attribute("error.type", name)
    span.set_status(StatusCode.ERROR)
    return name


def _remote(context: str) -> SpanContext:
    _, trace_id, span_id, flags = context.split("-")
    return SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16))
    )


def _traceparent(context: SpanContext) -> str | None:
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def _observe(queue: SendQueue, meter: Meter) -> None:
    def shown(name: str, unit: str, numbers: _Numbers, make: Any) -> None:
        def observe(_: object) -> Iterable[Observation]:
            if queue.is_open:
                for value, attributes in numbers(queue.statistics()):
                    yield Observation(value, attributes)

        make(f"orange_sms.queue.{name}", [observe], unit)

    gauge, counter = meter.create_observable_gauge, meter.create_observable_counter
    shown("waiting", "{message}", _waiting, gauge)
    shown("in_flight", "{message}", lambda seen: [(seen.in_flight, {})], gauge)
    shown("throttled", "{request}", lambda seen: [(seen.throttled, {})], counter)
    shown("pace", "{request}/s", lambda seen: [(seen.pace, {})], gauge)
    shown("guard", "1", lambda seen: [(seen.guard, {})], gauge)
    shown("has_turn", "1", lambda seen: [(int(seen.has_turn), {})], gauge)


def _waiting(seen: QueueStatistics) -> Iterator[tuple[int, dict[str, str]]]:
    for lane, count in seen.waiting.items():
        yield count, {"orange_sms.priority": lane.name}
