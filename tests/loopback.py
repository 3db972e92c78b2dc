"""An ASGI app behind a real server on this machine."""

import socket
import threading
import time

import uvicorn


class Served(uvicorn.Server):
    """uvicorn on a free port, in a thread of its own."""

    def __init__(self, app, port=0):
        self.socket = socket.create_server(("127.0.0.1", port))
        settings = {"log_level": "critical", "ws": "none", "timeout_graceful_shutdown": 1}
        super().__init__(uvicorn.Config(app, **settings))
        self.thread = threading.Thread(target=self.run, args=([self.socket],), daemon=True)

    @property
    def base_url(self):
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def __enter__(self):
        self.thread.start()
        deadline = time.monotonic() + 5
        while not self.started and time.monotonic() < deadline:
            time.sleep(0.01)
        return self

    def __exit__(self, *_):
        self.should_exit = True
        self.thread.join(timeout=5)
        self.socket.close()
