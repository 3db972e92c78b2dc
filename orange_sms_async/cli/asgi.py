"""uvicorn, as a command runs it."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

_GRACE = 2  # seconds for answers in progress when the block ends


class Server(uvicorn.Server):
    """
    A server that writes no access log.

    Args:
        app: what it serves.

    Attributes:
        listens: set once the app answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        config = uvicorn.Config(
            app,
            access_log=False,
            log_level="warning",
            proxy_headers=False,  # else anyone posting from this machine could forge the source
            timeout_graceful_shutdown=_GRACE,
        )
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals are the command's: uvicorn would raise them again at its end
