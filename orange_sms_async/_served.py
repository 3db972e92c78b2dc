"""Serves an ASGI app on this machine, in a thread of its own."""

import socket
import threading
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp


class Served(uvicorn.Server):
    """
    uvicorn on 127.0.0.1, for the duration of a `with` block.

    Args:
        app: the app to serve.
        port: by default, any free port.

    Attributes:
        socket: the listening socket, open from the start.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, app: ASGIApp, port: int = 0) -> None:
        self.socket = socket.create_server(("127.0.0.1", port))
        super().__init__(
            uvicorn.Config(
                app,
                ws="none",
                log_config=None,
                log_level="critical",
                timeout_graceful_shutdown=1,
            )
        )
        self._up = threading.Event()
        self._thread = threading.Thread(target=self.run, args=([self.socket],), daemon=True)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._up.set()

    @property
    def base_url(self) -> str:
        """The server's address, without a trailing slash."""
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._up.wait(timeout=5)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.should_exit = True
        self._thread.join(timeout=5)
        self.socket.close()
