"""`orange-sms bulk --max-units`: a campaign spends no more than it may."""

import asyncio

import pytest

from orange_sms_async import (
    NotSent,
    OutboundMessage,
    OutcomeUnknown,
    Pacer,
    RequestRejected,
    ResourceId,
    SentMessage,
)
from orange_sms_async.cli.budget import Budget

MESSAGE = OutboundMessage("+2250700000001", "Bonjour")
LONG = OutboundMessage("+2250700000001", "a" * 161)


class Orange:
    """Takes a second for each message, and raises what is said of it."""

    pacer, timeout = Pacer(), 30.0

    def __init__(self, *errors):
        self.errors = [*errors]

    async def ready(self):
        pass

    async def attempt(self, message):
        await asyncio.sleep(1)
        if self.errors and (error := self.errors.pop(0)):
            raise error
        return SentMessage(resource_id=ResourceId("r"))


async def test_the_rest_is_not_sent():
    """
    A message that costs more than is left is not asked for, and it is said why.
    """
    said = []
    budget = Budget(Orange(), 2, said.append)
    await budget.attempt(MESSAGE)
    with pytest.raises(NotSent):
        await budget.attempt(LONG)
    await budget.attempt(MESSAGE)

    assert ["--max-units 2: 1 spent, the next message costs 2"] == said


@pytest.mark.parametrize(
    ("error", "is_free"), [(RequestRejected(), True), (OutcomeUnknown(), False)]
)
async def test_what_is_on_the_wire_may_cost_nothing(error, is_free):
    """
    The next one waits for what becomes of it: refused it is free, unknown it may have been sent.
    """
    budget = Budget(Orange(error), 1, bool)
    first, second = await asyncio.gather(
        budget.attempt(MESSAGE), budget.attempt(MESSAGE), return_exceptions=True
    )

    assert error is first
    assert is_free is isinstance(second, SentMessage)


@pytest.mark.real_time
async def test_a_campaign_that_may_not_spend_more(orange, ask, rows_file, results):
    """
    Not one unit more is debited, the rest is listed as not sent, and the exit code is 1.
    """
    orange.account.expire("CIV")
    path = rows_file("to,text\n+2250700000001,x\n" + "+221770000001,Bonjour\n" * 5)

    code, _, complaints = await ask("bulk", path, "--rate", "off", "--max-units", 3)

    states = [line["state"] for line in results(path).values()]
    assert (1, 3) == (code, orange.statistics().units_used)
    assert (1, 3, 2) == tuple(map(states.count, ("refused", "accepted", "not sent")))
    assert "Error: --max-units 3: 3 spent, the next message costs 1\n" == complaints


@pytest.mark.real_time
async def test_an_outbox_keeps_the_rest(orange, ask, rows_file):
    """
    The same command goes on with it, and each run may spend so much.
    """
    path = rows_file("to,text\n" + "".join(f"+22177000000{n},x\n" for n in range(5)))
    codes = []
    for _ in range(3):
        options = ("--outbox", "c.db", "--rate", "off", "--max-units", 2)
        code, said, _ = await ask("bulk", path, *options)
        codes.append((code, len(orange.sent)))

    assert [(1, 2), (1, 4), (0, 5)] == codes
    assert "5 rows: 5 accepted" in said
