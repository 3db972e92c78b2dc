"""Closing leaves on disk what was not sent, and nothing open."""

import asyncio
import gc
import math
import threading
import time

from disk import DAY, leave, on_disk
from line import named
from times import later

from orange_sms_async import (
    AuthenticationFailed,
    ConnectionFailed,
    OutcomeUnknown,
    Priority,
    QueueClosed,
)
from orange_sms_async.outbox import Entry


class TestClosing:
    async def test_closing_without_a_drain_leaves_what_waits_on_disk(self, line, opened, path):
        """
        Their futures say that this queue did not send them; the next one does.
        """
        async with opened() as queue:
            futures = [await queue.submit(named(text)) for text in "abcd"]
            await futures[0]
            await queue.aclose(drain=False)

        left = [text for text, state in on_disk(path).items() if state == "queued"]
        assert ["b", "c", "d"][-len(left) :] == left
        assert len(left) == sum(isinstance(f.exception(), QueueClosed) for f in futures)
        async with opened() as queue:
            await queue.aclose()
        assert ["a", "b", "c", "d"] == line.accepted

    async def test_leaving_the_block_leaves_what_waits_on_disk(self, line, opened, path):
        """
        It waits for what is on the wire and being written; the rest is for the next queue.
        """
        line.delay = 1.0
        async with opened() as queue:
            first = await queue.submit(named("a"))
            await asyncio.sleep(0.1)
            last = queue.submit_nowait(named("b"))

        assert {"a": "sent", "b": "queued"} == on_disk(path)
        assert "id-a" == first.result()
        assert isinstance(last.exception(), QueueClosed)

    async def test_joining_waits_for_what_was_submitted_here(self, line, opened, path):
        """
        And not for what an earlier queue left for tomorrow.
        """
        await leave(path, Entry(named("tomorrow"), Priority.URGENT, not_before=time.time() + DAY))
        async with opened() as queue:
            futures = [await queue.submit(named(text)) for text in "abc"]
            await queue.join()

            assert all(future.done() for future in futures)
        assert "scheduled" == on_disk(path)["tomorrow"]

    async def test_wrong_credentials_leave_what_waits_on_disk(self, line, opened, path):
        """
        With the right ones it goes on.
        """
        line.answers.append(AuthenticationFailed())
        async with opened() as queue:
            futures = await asyncio.gather(*(queue.submit(named(text)) for text in "abc"))
            await asyncio.wait(futures)

        assert {"a": "queued", "b": "queued", "c": "queued"} == on_disk(path)
        causes = [future.exception().__cause__ for future in futures]
        assert [AuthenticationFailed] * 3 == [type(cause) for cause in causes]
        async with opened() as queue:
            await queue.aclose()
        assert ["a", "b", "c"] == line.accepted

    async def test_what_comes_back_unsent_to_a_closed_queue_waits_on_disk(self, line, opened, path):
        """
        Not sent is not lost.
        """
        line.delay = 1.0
        line.answers.append(ConnectionFailed())
        async with opened() as queue:
            future = await queue.submit(named("a"))
            await asyncio.sleep(0.5)
            await queue.aclose(drain=False)

        assert isinstance(future.exception(), QueueClosed)
        assert {"a": "queued"} == on_disk(path)

    async def test_a_request_cut_on_closing_is_unknown_on_disk(self, line, opened, path):
        """
        A client that hangs for ever is cut after a minute.
        """
        line.delay = math.inf
        async with opened() as queue:
            future = await queue.submit(named("a"))
            await asyncio.sleep(0.5)
            await queue.aclose(drain=False)

        assert isinstance(future.exception(), OutcomeUnknown)
        assert {"a": "unknown"} == on_disk(path)

    async def test_a_bulk_left_early_leaves_what_waits_on_disk(self, line, opened, path):
        """
        Its reader went away; what was admitted is sent all the same.
        """
        async with opened() as queue:
            async with queue.bulk(named(str(n)) for n in range(50)) as reports:
                async for _ in reports:
                    break
            await queue.aclose()

        assert {"sent"} == set(on_disk(path).values())

    async def test_submitting_while_it_closes(self, opened, path):
        """
        Whoever is told that it was admitted finds it on disk.
        """
        admitted = []

        async def submit(queue, text):
            await queue.submit(named(text), not_before=later(queue, 600))
            admitted.append(text)

        async with asyncio.timeout(100), opened() as queue:
            producers = [asyncio.create_task(submit(queue, str(n))) for n in range(50)]
            await asyncio.sleep(0)
            await queue.aclose(drain=False)
            ends = await asyncio.gather(*producers, return_exceptions=True)

        assert {type(None), QueueClosed} >= {type(end) for end in ends}
        assert set(admitted) <= on_disk(path).keys()

    async def test_nothing_is_left_open(self, opened):
        """
        The file, its thread and its lock go with the queue.
        """
        assert 0 == await settled(threads_of_ours, 0)
        async with opened() as queue:
            await queue.send(named("a"))
            assert 1 == threads_of_ours()
        del queue
        gc.collect()

        assert 0 == await settled(threads_of_ours, 0)


def threads_of_ours():
    return sum(thread.name.startswith("orange-sms") for thread in threading.enumerate())


async def settled(value, expected):
    """Wait a moment for threads to come to their end."""
    deadline = time.monotonic() + 5
    while value() != expected and time.monotonic() < deadline:
        await asyncio.to_thread(time.sleep, 0.001)
    return value()
