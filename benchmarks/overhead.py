"""How much processor time do our own layers cost per message: the queue, and the client?"""

import asyncio
import math
import statistics
import time
from collections.abc import Callable, Coroutine
from typing import Any

import attrs
import httpx
from _clients import AtOnce, Instant
from _results import keep
from _table import check, table
from _virtual import sms

from orange_sms_async import Client, ClientCredentials, OutboundMessage, SendQueue

QUEUED, CARRIED, ROUNDS = 20_000, 5_000, 7
URL = "https://api.orange.com/smsmessaging/v1/outbound/tel%3A%2B2250000/requests"
HEADERS = {"Authorization": f"Bearer {'x' * 600}"}
WANTED = 35  # µs


@attrs.frozen
class Cost:
    wall: float  # seconds
    processor: float  # seconds


Send = Callable[[Any, list[OutboundMessage]], Coroutine[Any, Any, list[str]]]


async def bare_loop(client: AtOnce, messages: list[OutboundMessage]) -> list[str]:
    return [(await client.attempt(message)).resource_id for message in messages]


async def task_each(client: AtOnce, messages: list[OutboundMessage]) -> list[str]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(client.attempt(message)) for message in messages]
    return [task.result().resource_id for task in tasks]


async def submitted(client: AtOnce, messages: list[OutboundMessage]) -> list[str]:
    async with SendQueue(client, capacity=len(messages)) as queue:
        futures = [await queue.submit(message) for message in messages]
        await queue.join()
    return [future.result() for future in futures]


async def bulk(client: AtOnce, messages: list[OutboundMessage]) -> list[str]:
    async with SendQueue(client) as queue, queue.bulk(messages) as reports:
        return [report.resource_id or "" async for report in reports]


async def bare_httpx(transport: Instant, messages: list[OutboundMessage]) -> list[str]:
    ids = []
    async with httpx.AsyncClient(transport=transport) as http:
        for message in messages:
            body = {"address": f"tel:{message.to}", "senderAddress": message.sender_address}
            body["outboundSMSTextMessage"] = {"message": message.text}  # type: ignore[assignment]
            request = {"outboundSMSMessageRequest": body}
            answer = (await http.post(URL, json=request, headers=HEADERS)).json()
            ids.append(answer["outboundSMSMessageRequest"]["resourceURL"].rpartition("/")[2])
    return ids


async def client_send(transport: Instant, messages: list[OutboundMessage]) -> list[str]:
    async with Client(ClientCredentials("a", "b"), transport=transport, rate=math.inf) as client:
        return [(await client.send(message)).resource_id for message in messages]


async def queue_over_client(transport: Instant, messages: list[OutboundMessage]) -> list[str]:
    async with Client(ClientCredentials("a", "b"), transport=transport, rate=math.inf) as client:
        return await submitted(client, messages)  # type: ignore[arg-type]


QUEUE: dict[str, Send] = {
    "bare loop": bare_loop,
    "a task each": task_each,
    "SendQueue.submit": submitted,
    "SendQueue.bulk": bulk,
}
WHOLE: dict[str, Send] = {
    "bare httpx": bare_httpx,
    "Client.send": client_send,
    "SendQueue over Client": queue_over_client,
}


def measure(name: str, send: Send, to: Any, messages: list[OutboundMessage]) -> Cost:
    wall, processor = time.perf_counter(), time.process_time()
    ids = asyncio.run(send(to, messages))
    cost = Cost(time.perf_counter() - wall, time.process_time() - processor)
    once = len(set(ids)) == len(messages) == to.taken
    check(once, f"{name}: each was sent once")
    return cost


def medians(cases: dict[str, Send], to: type[Any], count: int) -> dict[str, Cost]:
    messages = [sms(str(number)) for number in range(count)]
    costs = dict[str, list[Cost]]()
    for _ in range(ROUNDS):  # in turns: a busy moment of the machine meets all cases
        for name, send in cases.items():
            costs.setdefault(name, []).append(measure(name, send, to(), messages))
    return {
        name: Cost(
            statistics.median(cost.wall for cost in each) / count,
            statistics.median(cost.processor for cost in each) / count,
        )
        for name, each in costs.items()
    }


def show(each: dict[str, Cost]) -> None:
    control = next(iter(each.values())).processor
    rows = [
        [
            name,
            f"{1 / cost.wall:,.0f}",
            f"{cost.processor * 1e6:.1f}",
            f"{(cost.processor - control) * 1e6:+.1f}",
        ]
        for name, cost in each.items()
    ]
    table(["", "messages/s", "CPU µs each", "beyond the first"], rows)


def main() -> None:
    queue, whole = medians(QUEUE, AtOnce, QUEUED), medians(WHOLE, Instant, CARRIED)
    print(f"{QUEUED:,} messages to a client that answers at once, median of {ROUNDS} rounds")
    print(f"(target: at most {WANTED}):\n")
    show(queue)
    print(f"\n{CARRIED:,} over a transport that answers at once (target: at most +{WANTED}):\n")
    show(whole)
    keep("overhead", {name: cost.processor * 1e6 for name, cost in {**queue, **whole}.items()})


if __name__ == "__main__":
    main()
