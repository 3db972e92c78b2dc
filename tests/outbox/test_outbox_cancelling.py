"""Who stops watching a message on disk does not stop the message."""

import asyncio
import gc
import math
import threading

import pytest
from disk import on_disk
from line import Line, named
from times import later

from orange_sms_async import OutcomeUnknown, QueueClosed, SendQueue
from orange_sms_async.outbox.sqlite import SqliteOutbox
from orange_sms_async.outcomes import State


class TestCancelling:
    @pytest.mark.parametrize("waiter", ["cancel", "wait_for"])
    async def test_a_cancelled_future_stops_the_watching_only(self, line, opened, waiter):
        """
        What is on disk is sent, and can be watched again.
        """
        async with opened() as queue:
            future = await queue.submit(named("a"), not_before=later(queue, 10))
            if waiter == "cancel":
                future.cancel()
            else:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(future, 1)
            assert State.SCHEDULED is (await queue.outcome("a")).state
            again = await queue.submit(named("a"))

            assert again is not future
            assert "id-a" == await again
        assert ["a"] == line.texts

    async def test_cancelled_and_never_watched_again(self, line, opened):
        """
        It is sent all the same, and told.
        """
        told = []
        async with opened(on_outcome=told.append) as queue:
            (await queue.submit(named("a"))).cancel()
            await queue.aclose()

        assert ["a"] == line.texts
        assert [State.SENT] == [outcome.state for outcome in told]

    async def test_a_submit_cancelled_while_it_is_written(self, line, opened):
        """
        It may be on disk: then it is sent, and submitting it again finds it.
        """
        async with opened() as queue:
            submitting = asyncio.create_task(queue.submit(named("a")))
            await asyncio.sleep(0)
            submitting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await submitting

            assert "id-a" == await queue.send(named("a"))
        assert ["a"] == line.texts

    # A loop that ends cancels workers that never began, and anyio has their coroutine already.
    @pytest.mark.filterwarnings("ignore:coroutine 'SendQueue._work' was never awaited")
    @pytest.mark.parametrize("after", [0.0, 0.001, 0.01, 0.05])
    def test_a_loop_that_ends_resolves_every_future(self, path, after):
        """
        Ctrl-C ends the loop's tasks, even in the middle of a commit: nothing hangs or is lost.
        """
        line, futures, admitted = Line(delay=5), [], []

        async def interrupted():
            queue = await SendQueue(line.paced(math.inf), outbox=SqliteOutbox(path)).__aenter__()
            futures.extend(queue.submit_nowait(named(f"nowait {n}")) for n in range(50))
            producers = [asyncio.create_task(submit(queue, str(n))) for n in range(50)]
            await asyncio.sleep(after)
            assert producers

        async def submit(queue, text):
            futures.append(await queue.submit(named(text)))
            admitted.append(text)

        running = threading.Thread(target=asyncio.run, args=(interrupted(),), daemon=True)
        running.start()
        running.join(20)
        gc.collect()

        assert not running.is_alive()
        assert {OutcomeUnknown, QueueClosed} >= {type(future.exception()) for future in futures}
        assert set(admitted) <= on_disk(path).keys()
        assert set(line.texts) <= {
            text for text, state in on_disk(path).items() if state in ("unknown", "sending")
        }
