"""What OpenTelemetry sees of a queue."""

import asyncio
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from line import Line, named, sms
from opentelemetry import trace
from opentelemetry.semconv._incubating.attributes import messaging_attributes as messaging
from opentelemetry.semconv._incubating.metrics import messaging_metrics
from opentelemetry.semconv.attributes import error_attributes as error
from opentelemetry.semconv.attributes import server_attributes as server
from opentelemetry.semconv.schemas import Schemas
from opentelemetry.trace import SpanKind, StatusCode

from orange_sms_async import (
    DeliveryReceipt,
    OutcomeUnknown,
    PostgresOutbox,
    Priority,
    RequestRejected,
    ResourceId,
    SendQueue,
    SqliteOutbox,
    Throttled,
)
from orange_sms_async.events import Claimed
from orange_sms_async.telemetry.opentelemetry import SCHEMA, instrument

MONITORING = Path(__file__).parents[2] / "docs" / "monitoring.md"


def kinds(spans):
    return [(span.attributes["messaging.operation.name"], span.kind) for span in spans]


async def test_the_spans_of_a_message(line, seen):
    """
    One where it was submitted, in the trace of who submitted it, and one for each attempt.
    """
    line.answers.append(Throttled())
    async with seen.by(SendQueue(line)) as queue:
        with seen.traces.get_tracer("web").start_as_current_span("a request") as request:
            await queue.send(named("a"), priority=Priority.URGENT)

    [submitted], [first, second] = seen.spans("submit"), seen.spans("send")
    assert request.get_span_context().trace_id == submitted.context.trace_id
    assert [submitted.context.span_id] == [link.context.span_id for link in second.links]
    assert (SpanKind.PRODUCER, SpanKind.CLIENT) == (submitted.kind, first.kind)
    assert (StatusCode.ERROR, "Throttled") == (
        first.status.status_code,
        first.attributes["error.type"],
    )
    assert {
        "messaging.system": "orange_sms",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": "tel:+2250000",
        "messaging.message.id": "id-a",
        "server.address": "api.orange.com",
        "orange_sms.country": "CIV",
        "orange_sms.priority": "URGENT",
        "orange_sms.segments": 1,
    } == dict(second.attributes)


@pytest.mark.real_time
@pytest.mark.parametrize("durable", ["sqlite", "postgres"])
async def test_the_context_travels_through_an_outbox(durable, path, request, seen):
    """
    To whichever process sends the message.
    """
    outboxes: list[Any]
    if durable == "postgres":
        from orange_sms_async.outbox.postgres.migrating import migrate

        dsn = request.getfixturevalue("empty")
        await migrate(dsn)
        outboxes = [PostgresOutbox(dsn) for _ in range(2)]
    else:
        outboxes = [SqliteOutbox(path) for _ in range(2)]
    told = []
    sending = SendQueue(Line(), outbox=outboxes[0], on_event=told.append)
    async with seen.by(sending), seen.by(SendQueue(None, outbox=outboxes[1])) as asking:
        await asking.send(named("a"))

    [submitted], [sent] = seen.spans("submit"), seen.spans("send")
    assert [submitted.context.span_id] == [link.context.span_id for link in sent.links]
    [claimed] = [event for event in told if isinstance(event, Claimed)]
    assert f"{submitted.context.span_id:016x}" == claimed.context.split("-")[2]


async def test_a_context_of_the_callers_own_is_the_parent(line, seen):
    """
    As of a task queue that carries one.
    """
    context = f"00-{'a' * 32}-{'b' * 16}-01"
    async with seen.by(SendQueue(line)) as queue:
        await queue.send(sms("a"), context=context)

    [submitted] = seen.spans("submit")
    assert context == f"00-{submitted.context.trace_id:032x}-{submitted.parent.span_id:016x}-01"


async def test_a_receipt_is_linked_to_its_message(opened, seen):
    """
    One of nobody's message is seen too, without the id that somebody posted.
    """
    async with seen.by(opened()) as queue:
        resource_id = await queue.send(named("a"))
        for id_ in (resource_id, ResourceId("of nobody")):
            receipt = DeliveryReceipt(
                resource_id=id_, status="DeliveredToTerminal", address="tel:+2250701020304"
            )
            await queue.keep(receipt)

    [submitted], [ours, nobodys] = seen.spans("submit"), seen.spans("receipt")
    assert [submitted.context.span_id] == [link.context.span_id for link in ours.links]
    assert SpanKind.CONSUMER == ours.kind
    assert ("id-a", "DeliveredToTerminal") == (
        ours.attributes["messaging.message.id"],
        ours.attributes["orange_sms.status"],
    )
    assert not nobodys.links
    assert "messaging.message.id" not in nobodys.attributes


async def test_metrics_count_and_time_each_attempt(line, seen):
    """
    By the class of its error.
    """
    line.answers.extend([RequestRejected(), None, OutcomeUnknown()])
    async with seen.by(SendQueue(line)) as queue:
        for text in "abc":
            await asyncio.wait({await queue.submit(sms(text))})
        line.answers.append(Throttled())
        metrics = seen.metrics()

    sent = metrics["messaging.client.sent.messages"]
    assert {"RequestRejected": 1, None: 1, "OutcomeUnknown": 1} == {
        point.attributes.get("error.type"): point.value for point in sent
    }
    took = metrics["messaging.client.operation.duration"]
    assert [1, 1, 1] == [point.count for point in took]
    assert {"send"} == {point.attributes["messaging.operation.type"] for point in took}
    assert {0.005, 10} <= {*took[0].explicit_bounds}


async def test_gauges_are_the_queues_statistics(line, seen):
    """
    Read whenever metrics are exported; of a queue that is not open there are none.
    """
    queue = seen.by(SendQueue(line))
    assert "orange_sms.queue.pace" not in seen.metrics()

    async with queue:
        queue.submit_nowait(sms("a"), priority=Priority.BULK)
        metrics, statistics = seen.metrics(), queue.statistics()

    waiting = metrics["orange_sms.queue.waiting"]
    assert {"URGENT": 0, "NORMAL": 0, "BULK": 1} == {
        point.attributes["orange_sms.priority"]: point.value for point in waiting
    }
    assert statistics.pace == metrics["orange_sms.queue.pace"][0].value
    assert 1 == metrics["orange_sms.queue.has_turn"][0].value


async def test_a_request_that_was_cut_is_seen(seen):
    """
    It may have been sent.
    """

    class Crash(Line):
        async def attempt(self, message):
            raise asyncio.CancelledError

    async with seen.by(SendQueue(Crash())) as queue:
        await asyncio.wait({await queue.submit(sms("a"))})

    assert ["OutcomeUnknown"] == [each.attributes["error.type"] for each in seen.spans("send")]


@pytest.mark.parametrize("context", [None, f"00-{'a' * 32}-{'b' * 16}-01"])
async def test_without_an_sdk_nothing_happens(line, context):
    """
    The API alone makes spans of nothing, and the caller's context goes on as it came.
    """
    told: list[Any] = []
    queue = SendQueue(line, on_event=told.append)
    instrument(queue, tracer_provider=trace.NoOpTracerProvider())
    async with queue:
        await queue.send(sms("a"), context=context)

    assert [context] == [event.context for event in told if isinstance(event, Claimed)]


async def test_what_left_before_it_was_listened_to_is_not_seen(seen):
    """
    The next one is.
    """
    line = Line(delay=1.0)
    async with SendQueue(line) as queue:
        first = await queue.submit(sms("a"))
        await asyncio.sleep(0.5)
        seen.by(queue)
        await first
        await queue.send(sms("b"))

    assert ["id-b"] == [span.attributes["messaging.message.id"] for span in seen.spans("send")]


def current():
    """Name the attributes of the conventions, without those that they have given up."""
    names = re.compile(r'^\w+: Final = "([\w.]+)"\n"""\n(?!Deprecated)', re.MULTILINE)
    modules = (messaging, server, error)
    texts = [inspect.getsource(module) for module in modules]
    return {name for text in texts for name in names.findall(text)}


async def test_the_names_are_those_of_the_conventions(line, seen):
    """
    Of the version that is named here and in the docs, which is the newest that is installed; and
    none that they have given up.
    """
    newest = max(Schemas, key=lambda each: [int(n) for n in each.name[1:].split("_")]).value
    assert newest == SCHEMA
    assert newest.rpartition("/")[2] in MONITORING.read_text(encoding="utf-8")

    line.answers.extend([RequestRejected(), None])
    async with seen.by(SendQueue(line)) as queue:
        for text in "ab":
            await asyncio.wait({await queue.submit(sms(text))})
    ours = {name for name, _ in seen.attributes()}

    assert "messaging.operation" not in current()  # what it was called until 2024
    assert {name for name in ours if not name.startswith("orange_sms.")} <= current()
    types = {value for name, value in seen.attributes() if name == "messaging.operation.type"}
    assert types <= {each.value for each in messaging.MessagingOperationTypeValues}


def test_metrics_are_those_of_the_conventions():
    """
    By their names.
    """
    assert "messaging.client.operation.duration" == (
        messaging_metrics.MESSAGING_CLIENT_OPERATION_DURATION
    )
    assert "messaging.client.sent.messages" == messaging_metrics.MESSAGING_CLIENT_SENT_MESSAGES
