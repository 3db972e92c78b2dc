"""`orange-sms work`: processes that send what waits in a file, ended and killed."""

import asyncio
import json
import signal
import urllib.request
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from times import pass_at_once

from orange_sms_async import Client, ClientCredentials, OutboundMessage, SqliteOutbox, State
from orange_sms_async.cli.place import Place
from orange_sms_async.cli.work import Shift

real_time = pytest.mark.real_time  # the command is another process
TO = "+2250700000001"


@pytest.fixture
def outbox(tmp_path):
    return SqliteOutbox(tmp_path / "sms.db")


def put(outbox, many=1, **terms):
    messages = [OutboundMessage(TO, f"Bonjour {n}") for n in range(many)]
    for message in messages:
        outbox.put(message, **terms)
    return [message.reference for message in messages]


async def become(outbox, references, *states):
    """Wait until all are in one of these states; return how many in which."""
    async with asyncio.timeout(30):
        while True:
            found = [outbox.outcome(reference).state for reference in references]
            if all(state in states for state in found):
                return Counter(found)
            await asyncio.sleep(0.02)


async def said(process, words):
    """Wait for a line with these words; return it."""
    async with asyncio.timeout(30):
        while words not in (line := (await process.stdout.readline()).decode()):
            assert line, f"it ended and did not say {words!r}"
    return line


async def ended(process):
    """Wait for its end; return its exit code and what it said last."""
    out, err = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, out.decode(), err.decode()


@real_time
class TestSends:
    async def test_what_is_put_until_it_is_asked_to_end(self, begin, outbox, orange):
        process = await begin("work", "sms.db")
        await said(process, "Sending what waits")

        await become(outbox, put(outbox, 3), State.SENT)
        process.send_signal(signal.SIGTERM)

        code, out, _ = await ended(process)
        assert 0 == code
        assert 3 == len(orange.sent)
        assert "Accepted: 3, failed: 0, unknown: 0, expired: 0; waiting: 0.\n" in out

    async def test_what_is_on_the_wire_finishes_and_the_rest_waits(self, begin, outbox, orange):
        orange.latency = 1.0
        references = put(outbox, 20)
        process = await begin("work", "sms.db")
        await become(outbox, references[:1], State.SENDING)
        process.send_signal(signal.SIGTERM)

        assert (await ended(process))[0] == 0
        states = Counter(outbox.outcome(reference).state for reference in references)
        assert {State.SENT, State.QUEUED} == set(states)
        assert states[State.SENT] == len(orange.sent)

    async def test_prometheus_is_served(self, begin, outbox):
        """
        From a thread, on a port of the machine's own.
        """
        process = await begin("work", "sms.db", "--metrics", "0")
        url = (await said(process, "Metrics at")).split()[-1]
        await become(outbox, put(outbox), State.SENT)

        told = await asyncio.to_thread(lambda: urllib.request.urlopen(url).read().decode())

        assert 'orange_sms_settled_total{country="CIV",state="sent"}' in told
        assert 'orange_sms_units_left{country="CIV"}' in told  # as Orange was asked
        process.send_signal(signal.SIGTERM)
        assert 0 == (await ended(process))[0]

    async def test_until_nothing_waits(self, ask, outbox, orange):
        put(outbox, 2)
        put(outbox, not_before=datetime.now(UTC) + timedelta(seconds=2))

        code, _, err = await ask("work", "--until-empty", "sms.db")

        assert (0, "") == (code, err)
        assert 3 == len(orange.sent)

    async def test_a_refused_one_is_told_by_the_exit_code(self, ask, outbox, orange):
        put(outbox)
        orange.fail_next(400, message_id="SVC0004")

        code, out, _ = await ask("work", "--until-empty", "sms.db")

        assert 1 == code
        assert "Accepted: 0, failed: 1" in out

    async def test_an_unknown_one_is_told_by_the_exit_code(self, ask, outbox, orange):
        put(outbox)
        orange.drop_next()

        code, out, _ = await ask("work", "--until-empty", "sms.db")

        assert 5 == code
        assert "unknown: 1" in out

    async def test_each_line_is_an_object(self, ask, outbox):
        put(outbox, 2)

        _, out, err = await ask("work", "--json", "--until-empty", "sms.db")

        told = [json.loads(line) for line in out.splitlines()]
        assert 2 == sum(one["accepted"] for one in told)
        assert {"urgent": 0, "normal": 0, "bulk": 0} == told[-1]["waiting"]
        assert "Sending what waits" in err

    async def test_receipts_come_into_the_same_file(self, begin, outbox, orange):
        (reference,) = put(outbox)
        process = await begin("work", "--receipts", "0", "--secret", "word", "sms.db")
        address = (await said(process, "Receiving receipts on")).split()[-1]
        await become(outbox, [reference], State.SENT)
        told = {
            "deliveryInfoNotification": {
                "callbackData": outbox.outcome(reference).resource_id,
                "deliveryInfo": {"address": f"tel:{TO}", "deliveryStatus": "DeliveredToTerminal"},
            }
        }
        post = urllib.request.Request(f"{address}/word", json.dumps(told).encode())
        post.add_header("Content-Type", "application/json")
        await asyncio.to_thread(urllib.request.urlopen, post, timeout=10)

        assert "DeliveredToTerminal" == outbox.outcome(reference).delivery.status


@real_time
class TestSeveral:
    async def test_the_others_stand_by_and_go_on(self, begin, outbox, orange):
        first = await begin("work", "sms.db")
        await become(outbox, put(outbox), State.SENT)
        second = await begin("work", "sms.db")
        await said(second, "Sending what waits")

        first.kill()
        await first.wait()
        await become(outbox, put(outbox, 3), State.SENT)

        assert 4 == len(orange.sent)
        second.terminate()
        assert 0 == (await ended(second))[0]

    async def test_what_a_killed_one_had_on_the_wire_is_unknown(self, begin, ask, outbox, orange):
        orange.latency = 5.0
        (reference,) = put(outbox)
        first = await begin("work", "sms.db")
        await become(outbox, [reference], State.SENDING)
        first.kill()
        await first.wait()

        code, out, _ = await ask("work", "--until-empty", "sms.db")

        assert (5, State.UNKNOWN) == (code, outbox.outcome(reference).state)
        assert "unknown: 1" in out

    async def test_it_ends_when_another_has_sent_the_rest(self, begin, ask, outbox, orange):
        first = await begin("work", "sms.db")
        await become(outbox, put(outbox), State.SENT)
        put(outbox, 15)

        code, out, _ = await ask("work", "--until-empty", "sms.db")

        assert 0 == code
        assert "Accepted: 0" in out
        assert 16 == len(orange.sent)
        first.terminate()
        await ended(first)


@real_time
class TestTroubles:
    async def test_orange_away_is_said_at_once_and_does_not_end_it(self, begin, outbox):
        (reference,) = put(outbox)
        away = {"ORANGE_SMS_BASE_URL": "http://127.0.0.1:9"}
        process = await begin("work", "sms.db", **away)

        line = await said(process, "Nothing is leaving: no connection to Orange")
        process.terminate()

        assert "waiting: 1." in line
        assert 0 == (await ended(process))[0]
        assert State.QUEUED is outbox.outcome(reference).state

    async def test_wrong_credentials_end_it_and_the_rest_waits(self, ask, outbox):
        (reference,) = put(outbox)

        code, _, err = await ask("work", "sms.db", ORANGE_SMS_AUTHORIZATION="Basic YTpi")

        assert 3 == code
        assert 1 == len(err.splitlines())
        assert State.QUEUED is outbox.outcome(reference).state

    async def test_no_outbox_is_one_line(self, ask, tmp_path):
        (tmp_path / "sms.db").write_text("Bonjour")

        code, out, err = await ask("work", "sms.db")

        assert (2, "") == (code, out)
        assert 1 == len(err.splitlines())
        assert "sms.db" in err

    async def test_a_dsn_is_not_shown(self, ask):
        secret = "postgresql://me:hunter2@db/app"

        by_argument = await ask("work", secret)
        by_environment = await ask("work", ORANGE_SMS_OUTBOX=secret)

        for code, out, err in (by_argument, by_environment):
            assert 2 == code
            assert "hunter2" not in out + err

    async def test_the_environment_names_the_file(self, ask, outbox, orange):
        put(outbox)
        place = {"ORANGE_SMS_OUTBOX": "sms.db"}

        assert 0 == (await ask("work", "--until-empty", **place))[0]
        assert "sent\t1\n" in (await ask("outbox", "show", **place))[1]
        refused = await ask("outbox", "resolve", "x", "--not-sent", **place)
        assert "sms.db: no message has the reference x" in refused[2]
        assert 1 == len(orange.sent)

    async def test_without_a_file_it_says_what_to_name(self, ask):
        code, _, err = await ask("work")

        assert 2 == code
        assert "SMS.db" in err


async def test_a_line_a_minute(orange, outbox):
    """Two, with what became of messages since the one before, in two minutes."""
    told = []
    credentials = ClientCredentials.from_header(orange.authorization)
    client = Client(credentials, transport=orange.transport)
    shift = Shift(client, Place(outbox.path), told.append)
    async with shift.client, shift.queue as queue:
        asked = asyncio.Event()
        running = asyncio.create_task(shift.run(asked, until_empty=False))
        for many in (3, 2):
            sent = [await queue.submit(OutboundMessage(TO, "Bonjour")) for _ in range(many)]
            await asyncio.gather(*sent)
            await pass_at_once(61)
        await asyncio.sleep(1)
        asked.set()
        await running

    assert [3, 2] == [one.counts[State.SENT] for one in told]
