"""
A campaign in virtual time that is killed in its middle, and goes on with what its outbox holds.

    python tests/campaign.py OUTBOX EVIDENCE MESSAGES KILLED_AFTER

What it does not show: the crash of a machine; a killed process leaves its writes with the kernel.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import attrs
import httpx

from orange_sms_async import Client, ClientCredentials, OutboundMessage, SendQueue
from orange_sms_async.clock import JumpingLoop
from orange_sms_async.outbox.sqlite import SqliteOutbox
from orange_sms_async.receiver import ReceiptBook, ReceiptReceiver
from orange_sms_async.sandbox import Sandbox

RATE = 5.0


def orange(book: ReceiptBook, messages: int, latency: float = 0.0) -> Sandbox:
    """Make an Orange whose token does not last for a third of the campaign."""
    return Sandbox(
        token_lifetime=messages / RATE * 0.3,
        latency=latency,
        receipt_url="https://app.example/receipts",
        receipt_transport=httpx.ASGITransport(ReceiptReceiver(book.add)),
    )


def reminders(count: int) -> list[OutboundMessage]:
    """Make messages that say their own reference, so that Orange's evidence names it."""
    return [
        OutboundMessage("+2250701020304", f"Rappel {n}", reference=f"Rappel {n}")
        for n in range(count)
    ]


# -- the process that is killed --------------------------------------------------------------------


async def live(outbox: str, evidence: str, count: int, killed_after: float) -> None:
    book = ReceiptBook()
    sandbox = orange(book, count, latency=0.1)  # so that a kill meets messages on the wire
    credentials = ClientCredentials.from_header(sandbox.authorization)
    async with Client(credentials, transport=sandbox.transport, rate=RATE) as client:
        async with SendQueue(client, outbox=SqliteOutbox(outbox)) as queue:
            dying = asyncio.create_task(die(sandbox, book, evidence, killed_after))
            # All of them again, as a program does that does not know what it sent.
            async with queue.bulk(reminders(count)) as reports:
                outcomes = {report.message.reference: report.error async for report in reports}
    dying.cancel()
    await asyncio.sleep(2 * sandbox.receipt_delay)
    unknown = [reference for reference, error in outcomes.items() if error]
    write(sandbox, book, evidence, settled=len(outcomes), unknown=unknown)


async def die(sandbox: Sandbox, book: ReceiptBook, evidence: str, killed_after: float) -> None:
    await asyncio.sleep(killed_after)
    write(sandbox, book, evidence)
    os.kill(os.getpid(), signal.SIGKILL)


def write(sandbox: Sandbox, book: ReceiptBook, evidence: str, **known: object) -> None:
    facts = {
        "sent": [sent.text for sent in sandbox.sent],
        "tokens": sandbox.statistics().token_requests,
        "most_in_a_second": sandbox.most_in_a_second,
        "throttled": sandbox.throttled,
        "delivered": book.statistics().messages,
        "seconds": asyncio.get_running_loop().time(),
    }
    Path(evidence).write_text(json.dumps(facts | known))


# -- the one that compares -------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Life:
    """What one process of the campaign left behind."""

    exit_code: int
    sent: list[str]
    tokens: int
    most_in_a_second: int
    throttled: int
    delivered: int
    seconds: float
    settled: int = 0
    unknown: list[str] = attrs.field(factory=list)


def lived(folder: Path, messages: int, killed_after: float) -> Life:
    """Run a process of the campaign until it is killed, so many seconds after its beginning."""
    evidence = folder / "evidence.json"
    arguments = [str(folder / "outbox.db"), str(evidence), str(messages), str(killed_after)]
    done = subprocess.run([sys.executable, __file__, *arguments], check=False)
    return Life(exit_code=done.returncode, **json.loads(evidence.read_text()))


def violations(messages: int, *lives: Life) -> list[str]:
    """Name what would be untrue of a campaign that ran through these lives."""
    last, times = lives[-1], Counter(text for life in lives for text in life.sent)
    doubled = [f"{text} sent twice" for text, count in times.items() if count > 1]
    references = {message.reference for message in reminders(messages)}
    lost = [f"{reference} lost" for reference in references - times.keys() - set(last.unknown)]
    fast = [
        f"{life.most_in_a_second} in a second, {life.throttled} throttled"
        for life in lives
        if life.most_in_a_second > RATE or life.throttled
    ]
    unsettled = [f"{last.settled} settled"] if last.settled != messages else []
    return doubled + lost + fast + unsettled


if __name__ == "__main__":
    outbox, evidence, count, killed_after = sys.argv[1:]
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(live(outbox, evidence, int(count), float(killed_after)))
