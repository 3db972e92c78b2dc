"""How many tokens do 100 sends at once ask for?"""

import asyncio
import statistics
import time

import httpx
from _bare import post, token
from _results import keep
from _server import Server
from _table import check, table
from _virtual import sms

SENDS, ROUNDS = 100, 3
LATENCY = 0.4  # seconds that the token endpoint takes


async def bare(server: Server) -> int:
    """Do what you would do without this package: a token for each send."""
    ids = list[str]()

    async def send() -> None:
        async with httpx.AsyncClient(base_url=server.address, trust_env=False) as http:
            http.headers["Authorization"] = f"Bearer {await token(http)}"
            await post(http, ids)

    outcomes = await asyncio.gather(*[send() for _ in range(SENDS)], return_exceptions=True)
    return sum(outcome is None for outcome in outcomes)


async def shared(server: Server) -> int:
    async with server.client() as client:
        sends = [client.send(sms()) for _ in range(SENDS)]
        outcomes = await asyncio.gather(*sends, return_exceptions=True)
    return sum(not isinstance(outcome, Exception) for outcome in outcomes)


def main() -> None:
    rows = []
    for name, send in {"a token each": bare, "Client.send": shared}.items():
        seconds, tokens, answered = list[float](), list[int](), list[int]()
        for _ in range(ROUNDS):
            with Server("--unlimited", f"--token-latency={LATENCY}") as server:
                start = time.perf_counter()
                answered.append(asyncio.run(send(server)))
                seconds.append(time.perf_counter() - start)
            tokens.append(server.evidence.token_requests)
        rows.append(
            [name, *map(statistics.median, (tokens, answered)), f"{statistics.median(seconds):.2f}"]
        )
    print(f"{SENDS} sends at once, the token takes {LATENCY} s, 50 are allowed a minute:\n")
    table(["", "token requests", "sent", "seconds"], rows)
    keep("stampede", {name: tokens for name, tokens, *_ in rows})
    check(rows[1][1] == 1, "sends at once share one token")


if __name__ == "__main__":
    main()
