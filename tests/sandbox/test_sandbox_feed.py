"""What happens, told as it happens."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from orange_sms_async.sandbox import Sandbox
from orange_sms_async.sandbox.orange.feed import Feed


@pytest.fixture
def events():
    return Feed()


async def told(watching, count=1):
    """The names and values of so many events."""
    said: list[tuple[str, Any]] = []
    while len(said) < count:
        said += [(event.name, event.value()) for event in await anext(watching)]
    return said


async def test_a_watcher_hears_what_happens_from_now_on(events):
    """
    In order, and what happens together together.
    """
    events.publish("arrival", lambda: 0)
    watching = events.watch()
    nothing = await anext(watching)
    events.publish("arrival", lambda: 1)
    events.publish("message", lambda: 2)
    news = await anext(watching)
    await watching.aclose()

    assert [] == nothing
    assert [("arrival", 1), ("message", 2)] == [(event.name, event.value()) for event in news]


async def test_one_who_comes_back_hears_what_it_missed(events):
    """
    From the last event it had.
    """
    watching = events.watch()
    await anext(watching)
    events.publish("arrival", lambda: 1)
    (last,) = await anext(watching)
    await watching.aclose()
    events.publish("arrival", lambda: 2)

    assert [("arrival", 2)] == await told(events.watch(last.id))


@pytest.mark.parametrize("last_id", ["x", "0.1", ".", "abc.99", "1.²", "1." + "9" * 99])
async def test_one_who_comes_from_elsewhere_starts_anew(events, last_id):
    """
    From another run, or from nowhere.
    """
    events.publish("arrival")

    assert [("reload", {})] == await told(events.watch(last_id))


async def test_a_slow_watcher_starts_anew(events):
    """
    Who misses more than is remembered is told so, and nothing is kept for it.
    """
    watching = events.watch()
    await anext(watching)
    for number in range(10_000):
        events.publish("arrival", lambda number=number: number)
    events.publish("faults")

    assert [("reload", {})] == await told(watching)
    events.publish("arrival", lambda: "next")
    assert [("arrival", "next")] == await told(watching)
    await watching.aclose()


async def test_to_look_again_is_said_once(events):
    """
    However often the account changed since the last look.
    """
    watching = events.watch()
    await anext(watching)
    for name in ("account", "faults", "account", "account"):
        events.publish(name)

    assert [("faults", {}), ("account", {})] == await told(watching, 2)
    await watching.aclose()


async def test_silence_has_a_heartbeat(events):
    """
    Every fifteen seconds.
    """
    watching = events.watch()
    start = asyncio.get_running_loop().time()
    beats = [await anext(watching) for _ in range(3)]
    await watching.aclose()

    assert [[], [], []] == beats
    assert 30 == pytest.approx(asyncio.get_running_loop().time() - start, abs=0.1)


async def test_closing_ends_the_watching(sandbox):
    """
    Of those who watch then; others may come after.
    """
    watching = sandbox.events.watch()
    await anext(watching)
    waiting = asyncio.create_task(anext(watching, "ended"))
    await asyncio.sleep(0)
    await sandbox.aclose()

    assert "ended" == await waiting
    assert [] == await anext(sandbox.events.watch())
    assert not [w for w in sandbox.events._watchers if w.closed]


async def test_what_python_changes_is_told(sandbox, client, send):
    """
    Everything the page shows, whoever changes it.
    """
    watching = sandbox.events.watch()
    await anext(watching)
    heard = []
    for change in (
        lambda: sandbox.fail_next(503),
        lambda: setattr(sandbox, "latency", 0.1),
        lambda: sandbox.account.approve("Boutique"),
        sandbox.expire_tokens,
        sandbox.forget_tokens,
        sandbox.clear,
    ):
        change()
        heard += await told(watching)
    await watching.aclose()

    assert ["faults", "faults", "account", "account", "account", "cleared"] == [
        name for name, _ in heard
    ]


@pytest.mark.real_time
async def test_the_stream(connect, send, serve):
    """
    Server-sent events over a socket: a message, its arrival, its receipt.
    """
    endpoint = httpx.MockTransport(lambda _: httpx.Response(200))
    sandbox = Sandbox(
        receipt_url="https://example.org", receipt_delay=0, receipt_transport=endpoint
    )
    lines: list[str] = []
    with serve(sandbox) as served:
        client = await connect(sandbox, served.base_url)
        async with client.stream("GET", "/_sandbox/events") as stream:
            reading = stream.aiter_lines()
            await anext(reading)
            await send(client, "un\ndeux")
            while not [line for line in lines if "receipt" in line]:
                lines.append(await anext(reading))
            lines.append(await anext(reading))
    names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    values = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]

    assert "text/event-stream; charset=utf-8" == stream.headers["content-type"]
    assert ["message", "arrival", "receipt"] == [name for name in names if name != "account"]
    assert "un\ndeux" == values[-3]["text"]
    assert (201, 200) == (values[-2][1], values[-1]["answer"])


@pytest.mark.real_time
async def test_a_page_that_stays_open_does_not_hold_the_server_up(sandbox, serve):
    """
    Nor one that closes: its watcher is forgotten.
    """
    with serve(sandbox) as served:
        async with httpx.AsyncClient(base_url=served.base_url, trust_env=False) as http:
            async with http.stream("GET", "/_sandbox/events") as stream:
                await anext(stream.aiter_lines())
                before = len(sandbox.events._watchers)
            sandbox.events.publish("faults")
            async with asyncio.timeout(5):
                while sandbox.events._watchers:  # noqa: ASYNC110 -- in the server's thread
                    await asyncio.sleep(0.01)

    assert 1 == before
