"""PgBouncer in transaction mode in front of PostgreSQL, if the system has it."""

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

_SETTINGS = """
[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = transaction
max_client_conn = 200
ignore_startup_parameters = extra_float_digits
logfile = {log}
"""
_PATIENCE = 5.0  # seconds for it to start


def pgbouncer() -> str | None:
    """Find the program."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


@contextlib.contextmanager
def pooled(dsn: str) -> Iterator[str]:
    """Run PgBouncer; yield the DSN that leads through it."""
    server = urlsplit(dsn)
    with tempfile.TemporaryDirectory(prefix="pooler-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o777)  # it runs as nobody where we are root
        port = _free_port()
        (folder / "users").write_text('"postgres" ""\n')
        (folder / "ini").write_text(
            _SETTINGS.format(
                server=server.port, port=port, users=folder / "users", log=folder / "log"
            )
        )
        process = subprocess.Popen(
            [str(pgbouncer()), "-q", "-u", "nobody", str(folder / "ini")],
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_for(port)
            yield dsn.replace(str(server.port), str(port))
        finally:
            process.terminate()
            process.wait(_PATIENCE)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    late = time.monotonic() + _PATIENCE
    while time.monotonic() < late:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)
    raise TimeoutError("pgbouncer did not start in time")
