"""What do 30,000 hostile requests do to a sandbox that remembers 10,000 of them?"""

import argparse
import asyncio
import json
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from _results import keep
from _table import check, table

REQUESTS, CONNECTIONS, KEPT = 30_000, 20, 10_000
LONG = 50_000  # bytes of a header, and of a body
PATHS = (
    "/oauth/v3/token",
    "/smsmessaging/v1/outbound/tel%3A%2B2250000/requests",
    "/sms/admin/v1/contracts",
    "/%00/../..//",
)
COMMAND = [sys.executable, "-m", "orange_sms_async.cli", "sandbox", "--port", "0"]


def rubbish(chance: random.Random) -> Iterator[bytes]:
    """Yield requests without end, each wrong in another way."""
    while True:
        path, body = chance.choice(PATHS), chance.randbytes(chance.randrange(300))
        yield chance.randbytes(200) + b"\r\n\r\n"
        yield request("POST", path, body, "application/json")
        yield request(chance.choice(["BREW", "PUT", "get", "POST"]), path, b"")
        yield request("POST", path, b"[" * 10_000, "application/json")
        yield request("POST", path, json.dumps({"x": "é" * (LONG // 6)}).encode(), "text/x")
        yield request("POST", path, b"{}", "application/json", f"Authorization: {'a' * LONG}\r\n")
        yield request("POST", path, b"x", "application/json", "Content-Length: 99999999\r\n")
        yield request("GET", f"{path}?{'q=1&' * 500}", b"", more="Cookie: é\xff\r\n")


def request(method: str, path: str, body: bytes, kind: str = "", more: str = "") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n{more}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode("latin-1", "replace") + body


async def attack(address: str, share: int, seed: int, answers: Counter[str]) -> None:
    place = urlsplit(address)
    for _, wrong in zip(range(share), rubbish(random.Random(seed)), strict=False):
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        try:
            writer.write(wrong)
            async with asyncio.timeout(1):
                line = (await reader.readline()).decode("latin-1")
            answers[line[9:10] or "closed"] += 1
        except (TimeoutError, ConnectionError):
            answers["none"] += 1
        finally:
            writer.close()


def peak_mib(process: int) -> float:
    """Return the most memory a process has used, as Linux reports it."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text("ascii"))
    return int(found[1]) / 1024 if found else 0.0


async def attacked(address: str, requests: int) -> Counter[str]:
    answers = Counter[str]()
    share = requests // CONNECTIONS
    await asyncio.gather(*(attack(address, share, n, answers) for n in range(CONNECTIONS)))
    return answers


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--requests", type=int, default=REQUESTS)
    requests = options.parse_args().requests
    with tempfile.TemporaryFile("w+") as said:
        command = [*COMMAND, "--keep", str(KEPT), "--rate", "off"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True)
        try:
            line = next(line for line in server.stdout or () if "BASE_URL=" in line)
            answers = asyncio.run(attacked(line.partition("=")[2].strip(), requests))
            peak = peak_mib(server.pid)
        finally:
            server.terminate()
            server.wait(10)
        said.seek(0)
        lines = len(said.readlines())
    table(
        ("requests", "4xx", "5xx", "closed or unanswered", "lines on stderr", "most memory, MiB"),
        [
            (
                requests,
                answers["4"],
                answers["5"],
                answers["closed"] + answers["none"],
                lines,
                f"{peak:.0f}",
            )
        ],
    )
    print("\nTarget: no 5xx, no line, less than 150 MiB.")
    check(not answers["5"], "no request is answered 5xx")
    check(not lines, "nothing is written to stderr")
    keep("hostile", {"answers": dict(answers), "lines": lines, "peak_mib": peak})


if __name__ == "__main__":
    main()
