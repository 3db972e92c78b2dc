"""The sandbox on a socket of this machine: HTTP or HTTPS, for clients that are good or bad."""

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

_GRACE = 2  # seconds for answers under way when the block ends
_PATIENCE = 30.0  # seconds for the head of a request; its body has as long in the app

_NAMES = ("api.orange.com", "localhost", "127.0.0.1", "::1")


def tls_context(authority: str | os.PathLike[str], *names: str) -> ssl.SSLContext:
    """
    Make a certificate authority, and a certificate of it for Orange's name and this machine's.

    Args:
        authority: the file that the authority's certificate is written to, for clients to trust.
            Its key is kept nowhere, so that nobody else can sign with it.
        names: other names and addresses of this machine.

    Returns:
        What a server presents the certificate with.

    Raises:
        ModuleNotFoundError: trustme is not installed.
        OSError: the file cannot be written.
    """
    import trustme  # noqa: PLC0415 -- only who asks for TLS waits for it

    made = trustme.CA(organization_name="orange-sms sandbox, of no use elsewhere")
    Path(authority).write_bytes(made.cert_pem.bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.issue_cert(*dict.fromkeys((*_NAMES, *names))).configure_cert(context)
    return context


class _Patient(H11Protocol):
    """HTTP for a client that comes to the end of its request's head, sooner or later."""

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
            # and whoever came second would find the connection in a state it does not expect.
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
    Yield the address once the app really answers there; without an access log.

    Args:
        app: what answers.
        listener: where.
        tls: what HTTPS is spoken with; without it, HTTP.
        proxies: addresses whose `X-Forwarded-Proto` and `X-Forwarded-For` are believed.

    Yields:
        The scheme, the host and the port.
    """
    config = uvicorn.Config(
        app,
        http=_Patient,
        ws="none",
        access_log=False,
        log_level="error",  # that a client's bytes are no HTTP is a warning, and its own affair
        proxy_headers=bool(proxies),  # or whoever posts from this machine says where from
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
