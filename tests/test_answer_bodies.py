"""The body of an answer: cut, packed or too long, whatever carries the requests."""

import tracemalloc
import zlib

import pytest
from bytesserver import URL, answer
from orange import CREDENTIALS, MESSAGE

from orange_sms_async import Client, OutcomeUnknown

pytest_plugins = ["servers"]
pytestmark = pytest.mark.real_time


@pytest.mark.parametrize("located", [True, False])
async def test_a_201_that_breaks_off(client, server, located):
    """
    Its Location counts; without one it is accepted all the same.
    """
    headers = {"Location": URL} if located else {}
    half = answer("201 Created", "{...........}", **headers)[:-5]
    server.answers, server.dropping = [half], [half]

    if located:
        assert "81e4296d-aa" == (await client.send(MESSAGE)).resource_id
    else:
        with pytest.raises(OutcomeUnknown) as caught:
            await client.send(MESSAGE)
        assert caught.value.accepted


ZIPPED = {"gzip": 31, "x-gzip": 31, "deflate": 15, "deflate, as it is misunderstood": -15}


def packed(body, coding="gzip", **headers):
    packer = zlib.compressobj(wbits=ZIPPED[coding])
    body = packer.compress(body) + packer.flush()
    headers["Content_Encoding"] = coding.partition(",")[0]
    return answer("201 Created", "x" * len(body), **headers)[: -len(body)] + body


@pytest.mark.parametrize("coding", ZIPPED)
async def test_a_packed_answer(client, server, coding):
    """
    It is unpacked, by whichever engine.
    """
    body = b'{"outboundSMSMessageRequest": {"resourceURL": "a/packed"}}'
    server.answers = [packed(body, coding)]

    assert "packed" == (await client.send(MESSAGE)).resource_id


MIB = 1024 * 1024
LONG = {
    "as it is": lambda **headers: answer("201 Created", "x" * (MIB + 1), **headers),
    "once unpacked": lambda **headers: packed(b" " * 100 * MIB, **headers),
}


@pytest.mark.parametrize("long", LONG)
async def test_a_201_that_is_too_long(engine, plain, long):
    """
    Its Location counts; without one it is accepted all the same, and the next message goes. No
    more of it is held than a few MiB.
    """
    plain.answers = [LONG[long](Location=URL), LONG[long]()]

    async with Client(CREDENTIALS, base_url=plain.base_url, engine=engine) as client:
        await client.ready()
        tracemalloc.start()
        assert "81e4296d-aa" == (await client.send(MESSAGE)).resource_id
        with pytest.raises(OutcomeUnknown) as caught:
            await client.send(MESSAGE)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        await client.send(MESSAGE)

    assert caught.value.accepted
    assert 8 * MIB > most


async def test_the_longest_answer(client, server):
    """
    It has a MiB.
    """
    body = b'{"outboundSMSMessageRequest": {"resourceURL": "a/long"}}'.ljust(MIB)
    server.answers = [answer("201 Created", body.decode()), packed(body)]

    assert ["long"] * 2 == [(await client.send(MESSAGE)).resource_id for _ in range(2)]


@pytest.mark.parametrize("status", ["403 Forbidden", "500 Internal Server Error"])
async def test_another_answer_that_is_too_long(client, server, status):
    """
    Nobody knows what it would have said.
    """
    server.answers = [answer(status, "x" * (MIB + 1))]

    with pytest.raises(OutcomeUnknown, match="longer than 1 MiB"):
        await client.send(MESSAGE)
