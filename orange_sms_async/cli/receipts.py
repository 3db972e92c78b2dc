"""`orange-sms receipts`: an endpoint that only receives delivery receipts."""

import asyncio
import contextlib
import ipaddress
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import attrs
import typer

from orange_sms_async import OutboxUnusable, ReceiptReceiver
from orange_sms_async.cli.exits import interrupts_call, stop_with
from orange_sms_async.cli.options import Secret, warn_without
from orange_sms_async.cli.serving import listening, serving
from orange_sms_async.cli.words import echo, many
from orange_sms_async.outbox.sqlite.receiptfile import ReceiptFile

_EVERY = 5.0  # seconds between two lines that say what came


def _network(given: str) -> str:
    try:
        ipaddress.ip_network(given, strict=False)
    except ValueError:
        raise typer.BadParameter("an IP address or a network, such as 10.0.0.0/8") from None
    return given


def receipts(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free port.")] = 8026,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    secret: Secret = None,
    store: Annotated[
        Path | None,
        typer.Option(
            metavar="RECEIPTS.db", help="Keep each receipt in this file before answering Orange."
        ),
    ] = None,
    allowed_source: Annotated[
        list[str] | None,
        typer.Option(
            parser=_network,
            metavar="ADDRESS",
            help="An address that Orange posts from; repeatable.",
        ),
    ] = None,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            parser=_network,
            metavar="ADDRESS",
            help="A proxy whose X-Forwarded-For is to be trusted; repeatable.",
        ),
    ] = None,
) -> None:
    """
    Receive the delivery receipts that Orange posts, and keep them.

    Orange posts only to https on port 443: put a proxy with a certificate in front. RECEIPTS.db
    contains numbers, and only you can read it. `orange-sms outbox import CAMPAIGN.db RECEIPTS.db`
    adds its receipts to the messages of a campaign, even while this command runs. Every 5 seconds,
    if there is anything new, a line counts what has arrived. Ctrl-C stops the command.
    """
    taken = Counter[str]()
    file = ReceiptFile(store) if store else None
    with _ending():
        receiver = ReceiptReceiver(
            lambda receipt: taken.update([str(receipt.status)]),
            secret=secret,
            allowed_sources=allowed_source or (),
            trusted_proxies=trusted_proxy or (),
            store=file,
        )
        warn_without(secret)
        if not store:
            echo("Warning: without --store, receipts are counted but not kept.", err=True)
        asyncio.run(_serve(receiver, file, taken, host, port))
    echo(_said(taken, receiver))


@contextlib.contextmanager
def _ending() -> Iterator[None]:
    try:
        yield
    except (OutboxUnusable, ValueError) as error:
        stop_with(str(error))


async def _serve(
    receiver: ReceiptReceiver, file: ReceiptFile | None, taken: Counter[str], host: str, port: int
) -> None:
    asked_to_end = asyncio.Event()
    async with file or contextlib.nullcontext():
        with interrupts_call(asked_to_end.set):
            listener = listening(host, port, instead="--port 0")
            async with serving(receiver, listener) as address:
                echo(f"Receiving receipts on {address} (Ctrl-C stops it).")
                sys.stdout.flush()
                await _tell(receiver, taken, asked_to_end)


async def _tell(receiver: ReceiptReceiver, taken: Counter[str], until: asyncio.Event) -> None:
    before = _said(taken, receiver)
    while not until.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_EVERY):
                await until.wait()
        if (said := _said(taken, receiver)) != before and not until.is_set():
            before = said
            echo(said)
            sys.stdout.flush()


def _said(taken: Counter[str], receiver: ReceiptReceiver) -> str:
    counted = receiver.statistics()
    parts = [many(counted.receipts, "receipts")]
    parts += [f"{times} {status}" for status, times in sorted(taken.items())]
    refused = {
        name: times
        for name, times in attrs.asdict(counted).items()
        if times and name not in ("receipts", "replies", "failed_callbacks")
    }
    parts += [f"{times} refused ({name.replace('_', ' ')})" for name, times in refused.items()]
    return ", ".join(parts)
