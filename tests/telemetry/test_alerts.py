"""The alert rules and the dashboard of the docs, evaluated by Prometheus's own promtool."""

import asyncio
import re
import subprocess
import urllib.request

import pytest
from cli.served import COMMAND, environment, served_sandbox
from line import named
from prometheus_client.parser import text_string_to_metric_families
from receipt import receipt
from telemetry.scraped import DASHBOARD, PROMTOOL, RULES, needs_promtool, panels

from orange_sms_async import OutcomeUnknown, SendQueue, SqliteOutbox
from orange_sms_async.account import Contract


@needs_promtool
async def test_nothing_fires_while_all_is_well(line, scraping):
    """
    Nor for what waits until tomorrow.
    """
    queue = SendQueue(line)
    scraped = scraping(queue)
    async with queue:
        submitted = iter(range(1000))
        await scraped.during(600, lambda: queue.submit(named(str(next(submitted)))))

    assert set() == scraped.firing()


@needs_promtool
async def test_unknown_outcomes_grow_and_units_end(line, scraping):
    """
    Two that need a person.
    """
    line.answers.extend([OutcomeUnknown()] * 1000)
    queue = SendQueue(line)
    scraped = scraping(queue)
    units = Contract(country="CIV", offer_name="SMS_OCB", available_units=3, status="ACTIVE")
    scraped.collector.units_left([units])
    async with queue:
        for n in range(3000):
            queue.submit_nowait(named(str(n)))
        await scraped.during(120)
        await queue.aclose(drain=False)

    assert {"OrangeSmsUnknownGrows", "OrangeSmsUnitsEndBeforeTheQueue"} <= scraped.firing()


@needs_promtool
async def test_every_panel_shows_something(opened, scraping):
    """
    Of a queue at work: no expression is misspelt, and none joins what does not fit.
    """
    queue = opened()
    scraped, numbers = scraping(queue), iter(range(1000))
    units = Contract(country="CIV", offer_name="SMS_OCB", available_units=3, status="ACTIVE")
    scraped.collector.units_left([units])

    async def work():
        await queue.keep(receipt(await queue.send(named(str(next(numbers))))))

    async with queue:
        await scraped.during(300, work)

    shown = {expr: scraped.ask(expr) for exprs in panels().values() for expr in exprs}
    assert [] == [expr for expr, values in shown.items() if not values]


@needs_promtool
def test_the_rules_are_in_order():
    """
    As promtool reads them, which also says what is doubled.
    """
    assert PROMTOOL
    done = subprocess.run([PROMTOOL, "check", "rules", RULES], capture_output=True, check=False)

    assert (0, b"") == (done.returncode, done.stderr)


@pytest.mark.real_time
async def test_rules_and_dashboard_name_what_is_served(path):
    """
    By `orange-sms work --metrics`, and nothing else.
    """
    served = {family.name for family in await asyncio.to_thread(at_work, path)}
    for document in (RULES.read_text(), DASHBOARD.read_text()):
        metrics = set(re.findall(r"orange_sms_[a-z_]+\b(?!\.)", document)) - {"orange_sms_async"}
        bare = {name.removesuffix("_total").removesuffix("_bucket") for name in metrics}

        assert bare
        assert bare <= served


def at_work(path):
    """What the command serves once it has sent a message."""
    SqliteOutbox(path).put(named("a"))
    command = [*COMMAND, "work", str(path), "--metrics", "0"]
    with (
        served_sandbox() as sandbox,
        subprocess.Popen(
            command, env=environment(**sandbox.environment), stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        try:
            assert process.stdout
            url = process.stdout.readline().split()[-1]
            assert "Sending what waits" in process.stdout.readline()
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(url, timeout=10) as answer:
                return [*text_string_to_metric_families(answer.read().decode())]
        finally:
            process.terminate()
