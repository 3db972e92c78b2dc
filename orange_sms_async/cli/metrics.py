"""A queue's metrics for Prometheus, served beside a command."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated

import typer

from orange_sms_async import Client, OrangeSMSError, SendQueue
from orange_sms_async.cli.exits import stop_with
from orange_sms_async.cli.words import echo

if TYPE_CHECKING:
    from orange_sms_async.telemetry.prometheus import QueueCollector

_EVERY = 600.0  # seconds between two requests for the units left

MetricsPort = Annotated[
    int | None,
    typer.Option(
        "--metrics",
        min=0,
        max=65535,
        metavar="PORT",
        help="Serve Prometheus metrics on this port of 127.0.0.1; 0 picks a free port.",
    ),
]


def serve_metrics(queue: SendQueue, port: int) -> "QueueCollector":
    """Serve them from a thread, which answers even while the event loop is blocked."""
    try:
        from prometheus_client import CollectorRegistry, start_http_server  # noqa: PLC0415

        from orange_sms_async.telemetry.prometheus import register  # noqa: PLC0415
    except ModuleNotFoundError:
        stop_with("--metrics needs: pip install 'orange-sms-async[prometheus]'")
    registry = CollectorRegistry()
    collector = register(queue, registry=registry)
    try:
        server, _ = start_http_server(port, "127.0.0.1", registry)
    except OSError:
        stop_with(f"port {port} is taken: choose another with --metrics")
    echo(f"Metrics at http://127.0.0.1:{server.server_port}/metrics")
    return collector


@contextlib.asynccontextmanager
async def units_noted(client: Client, collector: "QueueCollector") -> AsyncIterator[None]:
    """Ask Orange now and then for the units left, for as long as the block lasts."""
    noting = asyncio.create_task(_note_units(client, collector), name="orange-sms units")
    try:
        yield
    finally:
        noting.cancel()
        await asyncio.wait({noting})


async def _note_units(client: Client, collector: "QueueCollector") -> None:
    while True:
        with contextlib.suppress(OrangeSMSError):  # the queue says it, if it matters
            collector.units_left(await client.contracts())
        await asyncio.sleep(_EVERY)
