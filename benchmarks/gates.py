"""What does a gate cost per message: an empty one, and the four rules?"""

import asyncio
import secrets
import statistics
import time
from datetime import time as clock
from datetime import timedelta

from _clients import AtOnce
from _results import keep
from _table import check, table
from _virtual import sms

from orange_sms_async import OutboundMessage, Priority, SendQueue, gates

MESSAGES, ROUNDS = 20_000, 7
DAY = timedelta(days=1)
WANTED = {"an empty gate": 5.0, "the four rules": 60.0}  # µs


def hours() -> gates.Gate:
    return gates.Hours({"CIV": (clock(0), clock(23, 59, 59))}, exempt=())


def suppression() -> gates.Gate:
    return gates.Suppression(secrets.token_bytes())


def per_recipient() -> gates.Gate:
    return gates.PerRecipient(MESSAGES, DAY)


def budget() -> gates.Gate:
    return gates.Budget(2 * MESSAGES, DAY, reserved=MESSAGES)


CASES = {
    "no gate": lambda: None,
    "an empty gate": gates.all_of,
    "hours": hours,
    "suppression": suppression,
    "per recipient": per_recipient,
    "budget": budget,
    "the four rules": lambda: gates.all_of(hours(), suppression(), per_recipient(), budget()),
}


async def sent(gate: gates.Gate | None, messages: list[OutboundMessage]) -> float:
    """Return seconds of the processor for each message."""
    client = AtOnce()
    start = time.process_time()
    async with SendQueue(client, capacity=len(messages), gate=gate) as queue:
        for message in messages:
            await queue.submit(message, priority=Priority.BULK)
        await queue.join()
    spent = time.process_time() - start
    check(client.taken == len(messages), "each was sent once")
    return spent / len(messages)


def main() -> None:
    messages = [sms(str(number)) for number in range(MESSAGES)]
    spent: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(ROUNDS):  # in turns: a busy moment of the machine meets all cases
        for name, make in CASES.items():
            spent[name].append(asyncio.run(sent(make(), messages)))
    cost = {name: statistics.median(each) * 1e6 for name, each in spent.items()}
    added = {name: each - cost["no gate"] for name, each in cost.items()}
    print(f"{MESSAGES:,} messages submitted and sent in memory, to one number, by a client that")
    print(f"answers at once; the gate is asked twice about each. Median of {ROUNDS} rounds:\n")
    rows = [
        [name, f"{each:.1f}", f"{added[name]:+.1f}", WANTED.get(name, "")]
        for name, each in cost.items()
    ]
    table(["", "CPU µs each", "more than without", "target, at most"], rows)
    keep("gates", added)


if __name__ == "__main__":
    main()
