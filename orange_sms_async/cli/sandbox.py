"""`orange-sms sandbox`: a local copy of Orange's API to develop against."""

import asyncio
import contextlib
import enum
import ipaddress
import math
import os
import shlex
import ssl
import sys
import threading
from pathlib import Path
from typing import Annotated, Any

import attrs
import typer

from orange_sms_async.cli.exits import interrupts_call, stop_with
from orange_sms_async.cli.options import messages_a_second, seconds
from orange_sms_async.cli.serving import listening
from orange_sms_async.cli.words import echo
from orange_sms_async.sandbox import Sandbox
from orange_sms_async.sandbox.seed_file import SeedFileError, read_seed
from orange_sms_async.sandbox.server import serving, tls_context
from orange_sms_async.sandbox.state_file import StateFileError, kept_in


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
    orange = Sandbox(
        **_seeded(seed, sender_name),
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
    _warn_if_open_to_others(host)
    door = _Door(host, port, _tls(tls_ca, host) if tls else None, tls_ca, proxy or [])
    try:
        asyncio.run(_serve(orange, data, door, until_stdin_ends=until_stdin_ends))
    except StateFileError as error:
        stop_with(str(error))


@attrs.frozen
class _Door:
    """Where and how the sandbox is reached."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    tls_ca: Path
    proxies: list[str]


def _tls(tls_ca: Path, host: str) -> ssl.SSLContext:
    try:
        return tls_context(tls_ca, *([host] if host not in {"0.0.0.0", "::"} else []))  # noqa: S104
    except ModuleNotFoundError:
        stop_with("--tls needs: pip install 'orange-sms-async[sandbox]'")
    except OSError as error:
        stop_with(f"cannot write {tls_ca}: {error.strerror}")


async def _serve(
    orange: Sandbox, data: Path | None, door: _Door, *, until_stdin_ends: bool
) -> None:
    listener = listening(door.host, door.port, instead="--port 0")
    asked_to_end = asyncio.Event()
    with listener, interrupts_call(asked_to_end.set):
        if until_stdin_ends:
            _at_end_of_stdin(asked_to_end)
        keeping = kept_in(data, orange) if data else contextlib.nullcontext()
        async with (
            keeping,
            serving(orange, listener, tls=door.tls, proxies=door.proxies) as address,
        ):
            _announce(address, orange.authorization)
            if door.tls is not None:
                _announce_authority(door.tls_ca.absolute())
            sys.stdout.flush()
            await asked_to_end.wait()
            await orange.aclose()  # an open page would keep the server from stopping


def _announce(address: str, authorization: str) -> None:
    echo(f"The sandbox runs at {address} (Ctrl-C stops it): open it in a browser.")
    echo("Set these for your program:")
    echo()
    typer.echo(f"export ORANGE_SMS_BASE_URL={address}")
    typer.echo(f'export ORANGE_SMS_AUTHORIZATION="{authorization}"')


def _announce_authority(path: Path) -> None:
    echo()
    echo("To trust its certificate, set:")
    echo()
    for name, who in (
        ("SSL_CERT_FILE", "Python, OpenSSL"),
        ("REQUESTS_CA_BUNDLE", "Python's requests"),
        ("NODE_EXTRA_CA_CERTS", "Node.js"),
        ("CURL_CA_BUNDLE", "curl"),
    ):
        typer.echo(f"export {name}={shlex.quote(str(path))}  # {who}")


def _at_end_of_stdin(asked_to_end: asyncio.Event) -> None:
    """Stop at the end of stdin: whoever started the sandbox holds its other end, even if killed."""
    loop = asyncio.get_running_loop()

    def wait() -> None:
        while os.read(0, 4096):  # not sys.stdin: this thread would never release its lock
            pass
        loop.call_soon_threadsafe(asked_to_end.set)

    threading.Thread(target=wait, daemon=True).start()


def _seeded(seed: Path | None, sender_names: list[str] | None) -> dict[str, Any]:
    """Return what the sandbox starts with: from the file, overridden by the option."""
    try:
        told = read_seed(seed) if seed else {}
    except SeedFileError as error:
        stop_with(str(error))
    return told | ({"sender_names": sender_names} if sender_names else {})


def _check_url(url: str | None, option: str) -> None:
    if url is not None and not url.startswith(("http://", "https://")):
        raise typer.BadParameter("an http:// or https:// address", param_hint=option)


def _warn_if_open_to_others(host: str) -> None:
    try:
        private = ipaddress.ip_address(host).is_loopback
    except ValueError:
        private = host == "localhost"
    if not private:
        echo(
            f"Warning: on {host}, anyone who reaches this machine can use the sandbox and read "
            "the numbers and texts sent to it.",
            err=True,
        )
