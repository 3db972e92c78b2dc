"""`orange-sms sandbox`: a local copy of Orange's API to develop against."""

import enum
import math
from pathlib import Path
from typing import Annotated

import typer

from orange_sms_async.cli.options import messages_a_second, seconds


class Throttle(enum.StrEnum):
    """How the sandbox counts messages per second."""

    ROLLING = "rolling"
    CALENDAR = "calendar"
    BUCKET = "bucket"
    SPIKE = "spike"


class ThrottleStatus(enum.StrEnum):
    """The status that answers a message over the limit."""

    FORBIDDEN = "403"
    TOO_MANY_REQUESTS = "429"


class ExpiresIn(enum.StrEnum):
    """How the token answer gives the token's lifetime."""

    STRING = "string"
    NUMBER = "number"
    ABSENT = "absent"


def sandbox(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free port.")] = 8025,
    rate: Annotated[
        float,
        typer.Option(
            parser=messages_a_second, metavar="NUMBER|off", help="Messages accepted per second."
        ),
    ] = 5.0,
    throttle: Annotated[
        Throttle,
        typer.Option(help="How the rate is counted. Orange does not say; rolling is strictest."),
    ] = Throttle.ROLLING,
    throttle_status: Annotated[
        ThrottleStatus, typer.Option(help="The status that answers a message over the rate.")
    ] = ThrottleStatus.FORBIDDEN,
    receipts: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Post delivery receipts to this URL. Default: post none."),
    ] = None,
    replies: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Post recipients' replies to this URL. Default: that of --receipts."
        ),
    ] = None,
    receipt_delay: Annotated[
        float,
        typer.Option(
            parser=seconds(), metavar="SECONDS", help="Delay of a receipt after its message."
        ),
    ] = 1.0,
    sender_name: Annotated[
        list[str] | None,
        typer.Option(help="An approved sender name; repeatable. Default: MonService."),
    ] = None,
    latency: Annotated[
        float,
        typer.Option(
            parser=seconds(), metavar="SECONDS", help="Travel time of each request and each answer."
        ),
    ] = 0.0,
    jitter: Annotated[
        float,
        typer.Option(
            parser=seconds(),
            metavar="SECONDS",
            help="Random extra travel time each way, up to this.",
        ),
    ] = 0.0,
    token_lifetime: Annotated[
        float | None,
        typer.Option(
            parser=seconds(), metavar="SECONDS", help="Lifetime of a token. Default: as at Orange."
        ),
    ] = None,
    expires_in: Annotated[
        ExpiresIn,
        typer.Option(help="How the token answer gives the lifetime; Orange does all three."),
    ] = ExpiresIn.STRING,
    seed: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Start with the contracts and sender names in this JSON file."
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Also refuse rarer mistakes that Orange refuses: see docs/sandbox.md.",
        ),
    ] = False,
    tls: Annotated[
        bool,
        typer.Option(
            "--tls", help="Serve HTTPS, with its own certificate authority: see --tls-ca."
        ),
    ] = False,
    tls_ca: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="With --tls: write the authority's certificate here, for clients to trust.",
        ),
    ] = Path("orange-sandbox-ca.pem"),
    proxy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS", help="Trust the X-Forwarded-Proto of this proxy; repeatable."
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Keep messages, account and counts in this file between runs."
        ),
    ] = None,
    keep: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="How many of the latest messages to remember.")
    ] = 10_000,
    until_stdin_ends: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """
    Run a local sandbox of Orange's API, and show the settings for your program.

    Open its address in a browser to see messages, account and rate, and to cause faults. All of
    this is also a JSON API under /_sandbox/. A message to a number that ends in 99 gets the receipt
    DeliveryImpossible, in 98 DeliveryUncertain, and in 97 first MessageWaiting. Ctrl-C stops it.
    """
    _check_url(receipts, "--receipts")
    _check_url(replies, "--replies")
    from orange_sms_async.cli.simulation import Door, run  # noqa: PLC0415 -- takes 90 ms

    run(
        Door(host, port, tls_ca if tls else None, proxy or []),
        data,
        seed,
        until_stdin_ends=until_stdin_ends,
        sender_names=sender_name,
        rate=None if math.isinf(rate) else rate,
        throttle=throttle.value,
        throttle_status=int(throttle_status),
        receipt_url=receipts,
        reply_url=replies,
        receipt_delay=receipt_delay,
        latency=latency,
        jitter=jitter,
        token_lifetime=token_lifetime,
        expires_in=expires_in.value,
        strict=strict,
        keep=keep,
    )


def _check_url(url: str | None, option: str) -> None:
    if url is not None and not url.startswith(("http://", "https://")):
        raise typer.BadParameter("an http:// or https:// address", param_hint=option)
