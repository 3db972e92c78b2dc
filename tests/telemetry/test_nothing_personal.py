"""Numbers, texts, references and tokens are in nothing that is exported or logged."""

import asyncio
import logging
from typing import Any

import attrs
from prometheus_client import CollectorRegistry, generate_latest
from receipt import receipt
from times import later

from orange_sms_async import (
    AuthenticationFailed,
    ConnectionFailed,
    ContractRefused,
    DeliveryStatus,
    OutboundMessage,
    OutcomeUnknown,
    Priority,
    RequestRejected,
    SendQueue,
    ServiceUnavailable,
    State,
    Throttled,
    TokenExpired,
)
from orange_sms_async.account import Contract
from orange_sms_async.countries import COUNTRIES
from orange_sms_async.events import WaitingFor
from orange_sms_async.telemetry.labels import ERRORS, OTHER
from orange_sms_async.telemetry.prometheus import register

NUMBER, TEXT, REFERENCE, TOKEN = "+2250799887766", "canary text", "canary-reference", "canary-token"
ABROAD = "+33612345678"


class Clumsy(RequestRejected):
    """Somebody's error, which says too much."""


ANSWERS = [
    None,
    Throttled(request_id="of-orange"),
    ConnectionFailed(),
    ServiceUnavailable(),
    TokenExpired(),
    None,
    RequestRejected(),
    ContractRefused(),
    OutcomeUnknown(),
    Clumsy(f"{NUMBER} {TEXT} {TOKEN}"),
    RuntimeError(f"{NUMBER} {TEXT} {TOKEN}"),
    AuthenticationFailed(),
]


async def test_canaries_are_in_no_span_metric_or_log(opened, line, seen, caplog):
    """
    Over all outcomes, and receipts of ours, of nobody, and with a made-up status.
    """
    caplog.set_level(logging.DEBUG)
    line.answers.extend(ANSWERS)
    queue, registry = seen.by(opened()), CollectorRegistry()
    register(queue, registry=registry)
    async with queue:
        await settled_each_way(queue)
        exported = seen.all + generate_latest(registry).decode() + str(seen.metrics())

    logged = "".join(str(vars(record)) for record in caplog.records if "orange" in record.name)
    exported = exported.replace(f"id-{TEXT}", "")  # the ids that the line makes of texts
    for canary in (NUMBER, NUMBER[1:], NUMBER[4:], ABROAD[1:], TEXT, REFERENCE, TOKEN):
        assert canary not in exported
        assert canary not in logged
    for state in ("sent", "failed", "unknown", "expired", "withdrawn"):
        assert f'country="CIV",state="{state}"}} 0.0' not in exported
    assert "AuthenticationFailed" in exported
    assert "AuthenticationFailed" in logged


CLOSED: dict[str, Any] = {
    "messaging.system": {"orange_sms"},
    "messaging.operation.name": {"submit", "send", "receipt"},
    "messaging.operation.type": {"create", "send", "process"},
    "messaging.destination.name": {*(each.sender_address for each in COUNTRIES), OTHER},
    "server.address": {"api.orange.com"},
    "orange_sms.segments": {1},
    "error.type": {*ERRORS},
    "result": {*ERRORS, "accepted"},
    "reason": {*map(str, WaitingFor)},
    "rule": {"hours", "suppression", "per recipient", "budget", "gate", OTHER},
    "state": {str(state) for state in State if state.finished},
    "orange_sms.country": {*(country.code for country in COUNTRIES), OTHER},
    "orange_sms.priority": {lane.name for lane in Priority},
    "orange_sms.status": {*map(str, DeliveryStatus), OTHER},
}
CLOSED |= {
    "country": CLOSED["orange_sms.country"],
    "lane": CLOSED["orange_sms.priority"],
    "status": CLOSED["orange_sms.status"],
}
"""What each label and attribute can be."""

OF_ORANGE = {"messaging.message.id", "orange_sms.request_id"}
"""Ids that Orange gave, in spans alone."""


async def test_labels_and_attributes_are_of_closed_sets(opened, line, seen):
    """
    Each of them, whatever messages, receipts, contracts and errors say.
    """
    line.answers.extend(ANSWERS)
    queue, registry = seen.by(opened()), CollectorRegistry()
    collector = register(queue, registry=registry)
    odd = Contract(country=NUMBER, offer_name=TEXT, available_units=1, status="ACTIVE")
    collector.units_left([odd])
    async with queue:
        await settled_each_way(queue)
        labels = [
            (name, value)
            for metric in registry.collect()
            for sample in metric.samples
            for name, value in sample.labels.items()
            if name != "le"
        ]
        points = seen.metrics().values()
        told = [*seen.attributes(), *labels]

    assert not OF_ORANGE & {name for each in points for point in each for name in point.attributes}
    assert CLOSED.keys() | OF_ORANGE == {name for name, _ in told}
    assert [] == [
        (name, value) for name, value in told if name not in OF_ORANGE and value not in CLOSED[name]
    ]


async def settled_each_way(queue):
    """Send messages that end in every way there is, and keep receipts of ours and of nobody."""
    for n in range(10):
        reference = f"{REFERENCE}-{n}"
        message = OutboundMessage(NUMBER, f"{TEXT} {n}", reference=reference)
        if n == 5:
            message = attrs.evolve(message, to=ABROAD, sender_address=f"tel:{NUMBER}")
        expires_at = later(queue, 1e-6) if n == 1 else None
        not_before = later(queue, 1e6) if n == 2 else None
        future = await queue.submit(message, expires_at=expires_at, not_before=not_before)
        if n == 2:
            await queue.withdraw(reference)
        await asyncio.wait({future})
    for status in ("DeliveredToTerminal", NUMBER):
        for id_ in (f"id-{TEXT} 0", NUMBER):
            await queue.keep(receipt(id_, status, NUMBER))


async def test_a_class_of_somebodys_is_no_label(line, seen):
    """
    They may be without end: it is the class of ours that they extend.
    """
    line.answers.append(Clumsy())
    async with seen.by(SendQueue(line)) as queue:
        await asyncio.wait({await queue.submit(OutboundMessage(NUMBER, TEXT))})

    assert ["RequestRejected"] == [each.attributes["error.type"] for each in seen.spans("send")]
