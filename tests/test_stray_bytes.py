"""A line over which something came unasked is not used again, whatever carries the requests."""

import asyncio
import socket
import time

import pytest
from bytesserver import TAKEN, answer
from orange import CREDENTIALS, MESSAGE
from races import STRAY, races

from orange_sms_async import Client, ConnectionFailed
from orange_sms_async.engines.exchange import Exchange

pytest_plugins = ["servers"]
pytestmark = pytest.mark.real_time

ID = "81e4296d-aa"


@pytest.mark.parametrize("stray", STRAY[:-2], ids=lambda stray: stray[9:12].decode())
async def test_what_comes_together_with_an_answer(client, server, stray):
    """
    It answers no other message: each is posted once, over a line of its own.
    """
    server.answers = [TAKEN + stray] * 3

    assert [ID] * 3 == [(await client.send(MESSAGE)).resource_id for _ in range(3)]
    assert 3 == len(server.heads)


@pytest.mark.parametrize("read", [True, False])
@pytest.mark.parametrize("stray", STRAY[:-2], ids=lambda stray: stray[9:12].decode())
async def test_what_comes_between_two_messages(client, server, stray, read):
    """
    Nor does that, whether the loop found the time to read it or not.
    """
    await client.send(MESSAGE)
    for writer in server.open:
        writer.write(stray)
    await asyncio.sleep(0.01) if read else time.sleep(0.01)  # noqa: ASYNC251

    assert ID == (await client.send(MESSAGE)).resource_id
    assert 2 == len(server.heads)


async def test_what_comes_before_a_question(client, server):
    """
    It does not answer that either.
    """
    server.answers = [answer("200 OK", "[]"), answer("200 OK", "[]")]
    await client.contracts()
    for writer in server.open:
        writer.write(answer("200 OK", '[{"country": "CIV", "offerName": "stray"}]'))
    await asyncio.sleep(0.01)

    assert [] == await client.contracts()


def test_what_comes_just_before_the_body():
    """
    The body stays here.
    """
    here, there = socket.socketpair()
    exchange = Exchange("POST", "/", {}, b"{}")
    with here, there:
        there.send(TAKEN)
        with pytest.raises(ConnectionError, match="before the request left"):
            exchange.leaves(here)

    assert not exchange.left


async def test_a_lent_connector_over_which_something_came(plain):
    """
    aiohttp takes it for the answer, at once; but an answer to what never left is none.
    """
    import aiohttp

    connector = aiohttp.TCPConnector()
    async with Client(
        CREDENTIALS, base_url=plain.base_url, engine="aiohttp", transport=connector
    ) as client:
        await client.send(MESSAGE)
        for writer in plain.open:
            writer.write(TAKEN)
        await asyncio.sleep(0.01)
        with pytest.raises(ConnectionFailed):
            await client.attempt(MESSAGE)
        await client.attempt(MESSAGE)

    assert 2 == len(plain.heads)
    await connector.close()


async def test_a_hundred_races(engine):
    """
    Whatever comes unasked, and when, no message gets another's answer or is posted twice. (aiohttp
    reads no answer that ends in what is no HTTP: its outcome is unknown.)
    """
    came_to = await races(engine, 1, 100)

    assert 100 == came_to["right"] + (came_to["OutcomeUnknown"] if engine == "aiohttp" else 0)
