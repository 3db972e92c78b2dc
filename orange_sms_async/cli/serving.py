"""Serve an ASGI app on a socket of this machine while a block lasts."""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from orange_sms_async.cli.exits import stop_with

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def bind(host: str, port: int) -> socket.socket:
    """
    Take a port; 0 picks a free one.

    Raises:
        OSError: the port is taken or not allowed, or the host is not this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        # Below 0, there is no such host. Python adds the address, which our line names already.
        number = error.errno if error.errno and error.errno > 0 else errno.EADDRNOTAVAIL
        raise OSError(number, os.strerror(number)) from None
    # asyncio does so only where a socket names its protocol. Without it, an answer's body waits
    # 40 ms for the client to acknowledge its head.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


@contextlib.asynccontextmanager
async def serving(app: "ASGIApp", listener: socket.socket) -> AsyncIterator[str]:
    """Yield the address once the app answers there; no access log is written."""
    from orange_sms_async.cli.asgi import Server  # noqa: PLC0415 -- takes 30 ms

    server = Server(app)
    running = asyncio.create_task(server.serve([listener]), name="orange-sms server")
    try:
        await server.listens.wait()
        yield address(listener)
    finally:
        server.should_exit = True
        await running


def address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listening(host: str, port: int, *, instead: str) -> socket.socket:
    """Take a port, or end with a one-line error."""
    try:
        return bind(host, port)
    except OSError as error:
        stop_with(
            f"cannot listen on {host}:{port}: {error.strerror}. `{instead}` picks a free port."
        )
