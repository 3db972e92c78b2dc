"""The sandbox on a socket of this machine: HTTP or HTTPS, for good and bad clients."""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

_GRACE = 2  # seconds for answers in progress when the block ends
_PATIENCE = 30.0  # seconds for the head of a request; its body has as long in the app

_NAMES = ("api.orange.com", "localhost", "127.0.0.1", "::1")


def tls_context(authority: str | os.PathLike[str], *names: str) -> ssl.SSLContext:
    """
    Make a certificate authority, and its certificate for the names of Orange and this machine.

    Args:
        authority: the file for the authority's certificate, which clients must trust. Its key is
            stored nowhere, so that nobody else can sign with it.
        names: other names and addresses of this machine.

    Returns:
        A context with which a server presents the certificate.

    Raises:
        ModuleNotFoundError: trustme is not installed.
        OSError: the file cannot be written.
    """
    import trustme  # noqa: PLC0415 -- loaded only for TLS

    made = trustme.CA(organization_name="orange-sms sandbox, for tests only")
    Path(authority).write_bytes(made.cert_pem.bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.issue_cert(*dict.fromkeys((*_NAMES, *names))).configure_cert(context)
    return context


class _Patient(H11Protocol):
    """HTTP that gives a client limited time for the head of its request."""

    _ending: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._ending is not None:
            self._ending.cancel()

    def send_400_response(self, msg: str) -> None:
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            # The bytes went wrong in the middle of a body. uvicorn would answer beside the app,
            # and the later answer would find the connection in a state that it does not expect.
            cycle.disconnected = True
            cycle.message_event.set()
            self.transport.abort()
            return
        with contextlib.suppress(h11.LocalProtocolError):
            super().send_400_response(msg)
        self.transport.close()

    def _watch(self) -> None:
        before_its_end = self.conn.their_state is h11.IDLE
        if before_its_end and self._ending is None:
            self._ending = self.loop.call_later(_PATIENCE, self.transport.abort)
        elif not before_its_end and self._ending is not None:
            self._ending.cancel()
            self._ending = None


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals are the command's: uvicorn would raise them again at its end


@contextlib.asynccontextmanager
async def serving(
    app: ASGIApp,
    listener: socket.socket,
    *,
    tls: ssl.SSLContext | None = None,
    proxies: Sequence[str] = (),
) -> AsyncIterator[str]:
    """
    Yield the address once the app answers there; no access log is written.

    Args:
        app: the app that answers.
        listener: the socket.
        tls: the context for HTTPS; without it, HTTP.
        proxies: addresses whose `X-Forwarded-Proto` and `X-Forwarded-For` are trusted.

    Yields:
        The scheme, the host and the port.
    """
    config = uvicorn.Config(
        app,
        http=_Patient,
        ws="none",
        access_log=False,
        log_level="error",  # bytes that are not HTTP are only a warning, and the client's problem
        proxy_headers=bool(proxies),  # else anyone on this machine could forge the source
        forwarded_allow_ips=list(proxies),
        timeout_graceful_shutdown=_GRACE,
    )
    config.load()
    config.ssl = tls
    server = _Server(config)
    running = asyncio.create_task(server.serve([listener]), name="orange-sms sandbox")
    try:
        await server.listens.wait()
        yield _address(listener, "https" if tls else "http")
    finally:
        server.should_exit = True
        await running


def _address(listener: socket.socket, scheme: str) -> str:
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
