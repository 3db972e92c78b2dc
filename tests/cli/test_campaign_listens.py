"""A campaign tells why nothing gets through, and gives up when that lasts."""

import asyncio
from io import StringIO

import pytest
from rich.console import Console

from orange_sms_async import Client, ClientCredentials, OutboundMessage, ServiceUnavailable
from orange_sms_async.cli.campaign import Campaign
from orange_sms_async.cli.csv_rows import Row
from orange_sms_async.cli.exits import ExitCode
from orange_sms_async.cli.progress import show_progress

ROW = Row(2, "+2250700000001", message=OutboundMessage("+2250700000001", "Bonjour"))


@pytest.fixture
async def client(orange):
    credentials = ClientCredentials.from_header(orange.authorization)
    async with Client(credentials, transport=orange.transport) as client:
        yield client


async def test_its_trouble_is_over_once_a_message_gets_through(client, orange):
    """
    Orange is overloaded, and then it is not.
    """
    results = []
    orange.fail_next(503, code=5, times=3)
    campaign = Campaign([ROW], client, results.append, patience=60.0)
    async with campaign.queue:
        running = asyncio.create_task(campaign.run())
        await asyncio.sleep(0.5)  # less than it waits before it tries again
        trouble = campaign.trouble
        await running

    assert isinstance(trouble, ServiceUnavailable)
    assert campaign.trouble is None
    assert ["accepted"] == [result.state for result in results]


async def test_what_it_waits_for_is_shown_once(client, orange):
    """
    Beside how far it is, which is shown every few seconds.
    """
    shown = StringIO()
    screen = Console(file=shown)
    orange.fail_next(503, code=5, times=1_000)
    campaign = Campaign([ROW], client, lambda _: None, patience=60.0)
    async with campaign.queue, show_progress(campaign, 1, screen):
        await campaign.run()

    lines = shown.getvalue().splitlines()
    assert 12 < lines.count("0/1  0.0/s  0 accepted")
    assert [f"Waiting: {campaign.trouble}"] == [line for line in lines if "Waiting" in line]


async def test_it_gives_up_with_the_trouble_that_lasted(client, orange):
    """
    After its patience and no sooner, with the row listed as not sent.
    """
    results, loop = [], asyncio.get_running_loop()
    orange.fail_next(503, code=5, times=1_000)
    campaign = Campaign([ROW], client, results.append, patience=60.0)
    began = loop.time()
    async with campaign.queue:
        await campaign.run()

    assert 60.0 == pytest.approx(loop.time() - began, abs=1.0)
    assert ExitCode.UNREACHABLE is campaign.exit_code
    assert isinstance(campaign.trouble, ServiceUnavailable)
    assert ["not sent"] == [result.state for result in results]
