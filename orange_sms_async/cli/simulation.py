"""Runs a sandbox on a port of this machine, until it is asked to end."""

import asyncio
import contextlib
import ipaddress
import os
import shlex
import ssl
import sys
import threading
from pathlib import Path
from typing import Any

import attrs
import typer

from orange_sms_async.cli.exits import interrupts_call, stop_with
from orange_sms_async.cli.serving import listening
from orange_sms_async.cli.words import echo
from orange_sms_async.sandbox import Sandbox
from orange_sms_async.sandbox.seed_file import SeedFileError, read_seed
from orange_sms_async.sandbox.server import serving, tls_context
from orange_sms_async.sandbox.state_file import StateFileError, kept_in


@attrs.frozen
class Door:
    """
    Where and how the sandbox is reached.

    Attributes:
        tls_ca: where its certificate authority is written; None to serve plain HTTP.
        proxies: whose X-Forwarded-Proto is trusted.
    """

    host: str
    port: int
    tls_ca: Path | None
    proxies: list[str]


def run(
    door: Door,
    data: Path | None,
    seed: Path | None,
    *,
    sender_names: list[str] | None,
    until_stdin_ends: bool,
    **settings: Any,
) -> None:
    """
    Serve a sandbox until it is asked to end.

    Args:
        data: the file that keeps its state.
        seed: the file with the contracts and sender names to start with.
        sender_names: those to start with instead.
        until_stdin_ends: whether it also ends when stdin does.
        **settings: other arguments of `Sandbox`.
    """
    orange = Sandbox(**_seeded(seed, sender_names), **settings)
    _warn_if_open_to_others(door.host)
    tls = _tls(door.tls_ca, door.host) if door.tls_ca else None
    try:
        asyncio.run(_serve(orange, data, door, tls, until_stdin_ends=until_stdin_ends))
    except StateFileError as error:
        stop_with(str(error))


def _tls(tls_ca: Path, host: str) -> ssl.SSLContext:
    try:
        return tls_context(tls_ca, *([host] if host not in {"0.0.0.0", "::"} else []))  # noqa: S104
    except ModuleNotFoundError:
        stop_with("--tls needs: pip install 'orange-sms-async[sandbox]'")
    except OSError as error:
        stop_with(f"cannot write {tls_ca}: {error.strerror}")


async def _serve(
    orange: Sandbox,
    data: Path | None,
    door: Door,
    tls: ssl.SSLContext | None,
    *,
    until_stdin_ends: bool,
) -> None:
    listener = listening(door.host, door.port, instead="--port 0")
    asked_to_end = asyncio.Event()
    with listener, interrupts_call(asked_to_end.set):
        if until_stdin_ends:
            _at_end_of_stdin(asked_to_end)
        keeping = kept_in(data, orange) if data else contextlib.nullcontext()
        async with (
            keeping,
            serving(orange, listener, tls=tls, proxies=door.proxies) as address,
        ):
            _announce(address, orange.authorization)
            if door.tls_ca is not None:
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
