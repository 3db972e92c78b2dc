"""A queue's metrics for Prometheus, served beside a command."""

from typing import Annotated

import typer

from orange_sms_async import SendQueue
from orange_sms_async.cli.exits import stop_with
from orange_sms_async.cli.words import echo

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


def serve_metrics(queue: SendQueue, port: int) -> None:
    """Serve them from a thread, which answers even while the event loop is blocked."""
    try:
        from prometheus_client import CollectorRegistry, start_http_server  # noqa: PLC0415

        from orange_sms_async.telemetry.prometheus import register  # noqa: PLC0415
    except ModuleNotFoundError:
        stop_with("--metrics needs: pip install 'orange-sms-async[prometheus]'")
    registry = CollectorRegistry()
    register(queue, registry=registry)
    try:
        server, _ = start_http_server(port, "127.0.0.1", registry)
    except OSError:
        stop_with(f"port {port} is taken: choose another with --metrics")
    echo(f"Metrics at http://127.0.0.1:{server.server_port}/metrics")
