"""Numbers, texts, references and tokens are in nothing that is exported or logged."""

import asyncio
import logging

from prometheus_client import CollectorRegistry, generate_latest
from times import later

from orange_sms_async import (
    AuthenticationFailed,
    ConnectionFailed,
    ContractRefused,
    DeliveryReceipt,
    OutboundMessage,
    OutcomeUnknown,
    RequestRejected,
    ResourceId,
    SendQueue,
    ServiceUnavailable,
    Throttled,
    TokenExpired,
)
from orange_sms_async.telemetry.prometheus import register

NUMBER, TEXT, REFERENCE, TOKEN = "+2250799887766", "canary text", "canary-reference", "canary-token"


class Clumsy(RequestRejected):
    """Somebody's error, which says too much."""


ANSWERS = [
    None,
    Throttled(),
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
        for status in ("DeliveredToTerminal", NUMBER):
            for id_ in (f"id-{TEXT} 0", NUMBER):
                await queue.keep(
                    DeliveryReceipt(
                        resource_id=ResourceId(id_), status=status, address=f"tel:{NUMBER}"
                    )
                )
        exported = seen.all + generate_latest(registry).decode() + str(seen.metrics())

    logged = "".join(str(vars(record)) for record in caplog.records if "orange" in record.name)
    exported = exported.replace(f"id-{TEXT}", "")  # the ids that the line makes of texts
    for canary in (NUMBER, NUMBER[1:], NUMBER[4:], TEXT, REFERENCE, TOKEN):
        assert canary not in exported
        assert canary not in logged
    for state in ("sent", "failed", "unknown", "expired", "withdrawn"):
        assert f'state="{state}"}} 0.0' not in exported
    assert "AuthenticationFailed" in exported
    assert "AuthenticationFailed" in logged


async def settled_each_way(queue):
    for n in range(10):
        reference = f"{REFERENCE}-{n}"
        message = OutboundMessage(NUMBER, f"{TEXT} {n}", reference=reference)
        expires_at = later(queue, 1e-6) if n == 1 else None
        not_before = later(queue, 1e6) if n == 2 else None
        future = await queue.submit(message, expires_at=expires_at, not_before=not_before)
        if n == 2:
            await queue.withdraw(reference)
        await asyncio.wait({future})


async def test_a_class_of_somebodys_is_no_label(line, seen):
    """
    They may be without end: it is the class of ours that they extend.
    """
    line.answers.append(Clumsy())
    async with seen.by(SendQueue(line)) as queue:
        await asyncio.wait({await queue.submit(OutboundMessage(NUMBER, TEXT))})

    assert ["RequestRejected"] == [each.attributes["error.type"] for each in seen.spans("send")]
