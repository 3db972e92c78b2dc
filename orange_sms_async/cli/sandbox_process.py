"""A sandbox in another process, for as long as a block lasts."""

import asyncio
import contextlib
import re
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator

import attrs
import httpx

from orange_sms_async import Client, ClientCredentials

_START, _END = 20.0, 5.0  # seconds it may take to start and to end
_SETTING = re.compile(r'export ORANGE_SMS_(\w+)="?([^"\n]+)')


class SandboxFailedError(Exception):
    """The sandbox did not start; what it said about it went to stderr."""


@attrs.frozen
class SandboxProcess:
    """A sandbox that listens, and a line to it past any proxy the environment names."""

    base_url: str
    authorization: str = attrs.field(repr=False)
    transport: httpx.AsyncBaseTransport

    def client(self) -> Client:
        credentials = ClientCredentials.from_header(self.authorization)
        return Client(credentials, base_url=self.base_url, transport=self.transport)

    async def statistics(self) -> dict[str, int]:
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.get(f"{self.base_url}/_sandbox/statistics")
            counted: dict[str, int] = answer.raise_for_status().json()
            return counted


@contextlib.asynccontextmanager
async def sandbox_process(*options: str) -> AsyncIterator[SandboxProcess]:
    """
    Start `orange-sms sandbox` on a free port, yield it once it listens, and end it.

    Raises:
        SandboxFailedError: it did not start.
    """
    command = (sys.executable, "-m", "orange_sms_async.cli", "sandbox", "--port", "0")
    process = await asyncio.create_subprocess_exec(
        *command,
        "--until-stdin-ends",
        *options,
        stdin=PIPE,
        stdout=PIPE,
        # Ctrl-C reaches every process of a terminal's group: this one is to outlive the wire.
        start_new_session=True,
    )
    stdin, output = process.stdin, process.stdout
    if stdin is None or output is None:
        raise SandboxFailedError("the sandbox has no pipes")  # asked for above; for type checkers
    try:
        settings = await _settings(output)
        transport = httpx.AsyncHTTPTransport()
        yield SandboxProcess(settings["BASE_URL"], settings["AUTHORIZATION"], transport)
        await transport.aclose()
    finally:
        await _end(process, stdin)


async def _settings(output: asyncio.StreamReader) -> dict[str, str]:
    settings: dict[str, str] = {}
    try:
        async with asyncio.timeout(_START):
            while settings.keys() < {"BASE_URL", "AUTHORIZATION"}:
                line = await output.readline()
                if not line:
                    raise SandboxFailedError("the sandbox did not start")
                if setting := _SETTING.match(line.decode()):
                    settings[setting[1]] = setting[2]
    except TimeoutError:
        raise SandboxFailedError(f"the sandbox did not start within {_START:.0f} s") from None
    return settings


async def _end(process: Process, stdin: asyncio.StreamWriter) -> None:
    stdin.close()  # that is what it waits for; it also happens when this process is killed
    try:
        async with asyncio.timeout(_END):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
