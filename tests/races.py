"""
Bytes that nobody asked for, raced against the next request on a line that is kept alive.

    python tests/races.py [SEED [RACES]]
"""

import asyncio
import json
import random
import sys
import time
from collections import Counter
from typing import Any

from bytesserver import BytesServer, answer
from line import sms
from orange import CREDENTIALS

from orange_sms_async import Client, OrangeSMSError

STRAY = [
    answer("201 Created", Location="https://api.orange.com/requests/stray"),
    answer("403 Forbidden", '{"code": 53}'),
    answer("401 Unauthorized", '{"code": 42}'),
    answer("400 Bad Request", '{"code": 22}'),
    answer("408 Request Timeout"),
    answer("201 Created", "x" * 100_000),
    b"HTTP/1.1 201 Cre",
    b"\r\n",
    b"\0",
]


class Babbling(BytesServer):
    """Takes every message, with its text for an id, and may say more together with the answer."""

    def __init__(self):
        super().__init__()
        self.texts, self.more = [], b""

    async def _answered(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        body = await reader.readexactly(int(head.partition("content-length: ")[2].split("\r")[0]))
        if "/oauth/" in head:
            writer.write(answer("200 OK", json.dumps({"access_token": "token"})))
            return True
        request = json.loads(body)["outboundSMSMessageRequest"]
        self.texts.append(text := request["outboundSMSTextMessage"]["message"])
        taken = answer("201 Created", Location=f"https://api.orange.com/requests/{text}")
        writer.write(taken + self.more)
        return True


async def _between(chance: random.Random, server: Babbling) -> None:
    """What a server says after an answer and before the next request begins."""
    for _ in range(chance.choice([0, 1, 1, 2])):
        for writer in server.open:
            writer.write(chance.choice(STRAY))
        match chance.choice(["read", "waits", "busy"]):
            case "read":
                await asyncio.sleep(chance.choice([0, 0, 0.0005, 0.002]))
            case "busy":
                time.sleep(0.0005)  # noqa: ASYNC251 -- the loop reads nothing meanwhile


async def races(engine: Any, seed: int, count: int) -> Counter[str]:
    """Send so many messages, one after the other; count what each came to."""
    chance, came_to = random.Random(seed), Counter[str]()
    async with (
        Babbling() as server,
        Client(CREDENTIALS, base_url=server.base_url, engine=engine, timeout=5) as client,
    ):
        await client.ready()
        for number in range(count):
            server.more = chance.choice([*STRAY, *[b""] * len(STRAY)])
            try:
                sent = await client.attempt(sms(f"m{number}"))
                said = "right" if sent.resource_id == f"m{number}" else "wrong id"
            except OrangeSMSError as error:
                said = type(error).__name__
            posted = server.texts.count(f"m{number}")
            came_to[said if posted == 1 else f"{said}, posted {posted} times"] += 1
            await _between(chance, server)
    return came_to


if __name__ == "__main__":
    seed, count = [*map(int, sys.argv[1:]), *[random.randrange(1000), 2000][len(sys.argv) - 1 :]]
    sys.stdout.write(f"seed {seed}\n")
    for engine in ("httpx", "httpx2", "aiohttp"):
        sys.stdout.write(f"{engine} {dict(asyncio.run(races(engine, seed, count)))}\n")
