"""A line to a server: what a queue needs of a client, with the answers the test says."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Self

from orange_sms_async import (
    OrangeSMSError,
    OutboundMessage,
    Pacer,
    ResourceId,
    SentMessage,
    Throttled,
)

Answer = OrangeSMSError | Exception | None


class Line:
    """
    Takes every message after `delay` seconds, unless told otherwise.

    answers: what the next attempts come to, an error or None for accepted; then all are accepted.
    readiness: the same for the next calls of `ready`.
    pacer: of its account, at 5 a second; `paced` gives it another.
    admit: the server's limit; jitter: seconds, at random, that each way takes.
    """

    def __init__(
        self,
        *,
        delay: float = 0.0,
        jitter: float = 0.0,
        token_delay: float = 0.0,
        admit: Callable[[float], bool] = lambda now: True,
    ) -> None:
        self.delay, self.jitter, self.token_delay, self.admit = delay, jitter, token_delay, admit
        self.pacer, self.timeout = Pacer(), 30.0
        self.answers = deque[Answer]()
        self.readiness = deque[Answer]()
        self.left: list[tuple[float, str]] = []
        self.accepted: list[str] = []
        self.throttled = 0
        self.chance = random.Random(7)

    @property
    def times(self) -> list[float]:
        return [time for time, _ in self.left]

    @property
    def texts(self) -> list[str]:
        return [text for _, text in self.left]

    def paced(self, rate: float) -> Self:
        self.pacer = Pacer(rate)
        return self

    async def ready(self) -> None:
        if self.token_delay:
            await asyncio.sleep(self.token_delay)
        if self.readiness and (error := self.readiness.popleft()):
            raise error

    async def attempt(self, message: OutboundMessage) -> SentMessage:
        now = asyncio.get_running_loop().time
        self.left.append((now(), message.text))
        error = self.answers.popleft() if self.answers else None
        await self.there()
        if error is None and not self.admit(now()):
            self.throttled += 1
            error = Throttled()
        await self.back()
        if error:
            raise error
        self.accepted.append(message.text)
        return SentMessage(resource_id=ResourceId(f"id-{message.text}"))

    async def there(self) -> None:
        if seconds := self.delay / 2 + self.chance.uniform(0, self.jitter):
            await asyncio.sleep(seconds)

    async def back(self) -> None:
        await Line.there(self)


def sms(text: str = "Bonjour", **options: object) -> OutboundMessage:
    return OutboundMessage("+2250701020304", text, **options)  # type: ignore[arg-type]


def named(text: str, to: str = "+2250701020304", **options: object) -> OutboundMessage:
    """A message whose reference is its text."""
    return OutboundMessage(to, text, reference=text, **options)  # type: ignore[arg-type]


def most_in_a_second(times: list[float]) -> int:
    """The most in any rolling second, its end excluded."""
    times = sorted(times)
    most, first = 0, 0
    for last, time in enumerate(times):
        while times[first] <= time - 1:
            first += 1
        most = max(most, last - first + 1)
    return most


def crowded(
    posts: Sequence[tuple[float, str]], rate: float, window: float = 1.0
) -> Iterator[tuple[int, int, float]]:
    """Find the seconds that hold more than the rate: how many, of how many senders, their end."""
    posts, first = sorted(posts), 0
    for last, (now, _) in enumerate(posts):
        while posts[first][0] <= now - window:
            first += 1
        if last + 1 - first > rate:
            senders = {sender for _, sender in posts[first : last + 1]}
            yield last + 1 - first, len(senders), now
