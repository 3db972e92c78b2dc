"""The alert rules of the docs, evaluated by Prometheus's own promtool over staged troubles."""

import asyncio
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from line import Line, named
from prometheus_client import CollectorRegistry
from receipt import receipt
from times import pass_at_once

from orange_sms_async import (
    ContractRefused,
    OutcomeUnknown,
    Priority,
    SendQueue,
    SqliteOutbox,
    Throttled,
)
from orange_sms_async.account import Contract
from orange_sms_async.events import WaitingFor
from orange_sms_async.telemetry.prometheus import register

RULES = Path(__file__).parents[2] / "docs" / "monitoring" / "alerts.yml"
DASHBOARD = RULES.with_name("grafana.json")
PROMTOOL = shutil.which("promtool")
STEP = 15  # seconds between two scrapes
LABELS = 'instance="web:8000"'

needs_promtool = pytest.mark.skipif(
    PROMTOOL is None and not os.environ.get("BROWSER_TESTS"),
    reason="no promtool: `apt-get install prometheus`, and the alert rules are tried",
)


class Scraped:
    """What Prometheus sees of a queue, one value every 15 seconds."""

    def __init__(self, queue):
        self._registry, self._series = CollectorRegistry(), dict[str, list[str]]()
        self.collector, self.times = register(queue, registry=self._registry), 0

    async def during(self, seconds, each_step=lambda: None):
        for _ in range(int(seconds / STEP)):
            if awaited := each_step():
                await awaited
            self.scrape()
            await asyncio.sleep(STEP)

    def scrape(self):
        seen = {}
        for metric in self._registry.collect():
            for sample in metric.samples:
                labels = [f'{name}="{value}"' for name, value in sample.labels.items()]
                seen[f"{sample.name}{{{','.join([*labels, LABELS])}}}"] = sample.value
        for series in self._series.keys() | seen.keys():
            values = self._series.setdefault(series, ["_"] * self.times)
            values.append(f"{seen[series]:g}" if series in seen else "_")
        self.times += 1

    def firing(self, folder, step=STEP):
        """Name the alerts that fire at the last scrape; promtool says what it got."""
        test = {
            "rule_files": [str(RULES)],
            "evaluation_interval": f"{step}s",
            "tests": [
                {
                    "interval": f"{step}s",
                    "input_series": [
                        {"series": series, "values": " ".join(values)}
                        for series, values in self._series.items()
                    ],
                    "promql_expr_test": [
                        {
                            "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                            "eval_time": f"{(self.times - 1) * step}s",
                            "exp_samples": [{"labels": "none", "value": -1}],
                        }
                    ],
                }
            ],
        }
        path = folder / "staged.yml"
        path.write_text(json.dumps(test))  # which is YAML, too
        assert PROMTOOL
        done = subprocess.run(
            [PROMTOOL, "test", "rules", path], capture_output=True, text=True, check=False
        )
        [got] = [line for line in f"{done.stdout}{done.stderr}".splitlines() if "got:" in line]
        return {part.partition('"')[0] for part in got.split('alertname="')[1:]}


@pytest.fixture
def firing(tmp_path):
    return lambda scraped, **options: scraped.firing(tmp_path, **options)


@needs_promtool
async def test_nothing_fires_while_all_is_well(line, firing):
    """
    Nor for what waits until tomorrow.
    """
    queue = SendQueue(line)
    scraped = Scraped(queue)
    async with queue:
        submitted = iter(range(1000))
        await scraped.during(600, lambda: queue.submit(named(str(next(submitted)))))

    assert set() == firing(scraped)


@needs_promtool
async def test_throttled_by_orange(firing):
    """
    Something else sends for the account.
    """
    line = Line()
    line.answers.extend([Throttled(), Throttled(), None] * 1000)
    queue = SendQueue(line, capacity=5000)
    scraped = Scraped(queue)
    async with queue:
        for n in range(5000):
            queue.submit_nowait(named(str(n)), priority=Priority.BULK)
        await scraped.during(300)
        await queue.aclose(drain=False)

    assert "OrangeSmsThrottled" in firing(scraped)
    assert not {"OrangeSmsContractRefused", "OrangeSmsSenderBlocked"} & firing(scraped)


@needs_promtool
async def test_the_database_is_away(opened, firing):
    """
    What is told of it in statistics is what the rule reads.
    """
    queue = opened()
    scraped = Scraped(queue)
    async with queue:
        queue._watch.waits_for(WaitingFor.DATABASE)
        queue._watch.goes_on, goes_on = lambda: None, queue._watch.goes_on
        await scraped.during(240)
        queue._watch.goes_on = goes_on

    assert {"OrangeSmsDatabaseAway", "OrangeSmsNothingLeaves"} == firing(scraped)


@needs_promtool
async def test_a_contract_expired(line, firing):
    """
    Messages fail, one after the other.
    """
    line.answers.extend([None] * 50 + [ContractRefused()] * 1000)
    queue = SendQueue(line)
    scraped = Scraped(queue)
    async with queue:
        submitted = iter(range(1000))
        await scraped.during(1200, lambda: queue.submit(named(str(next(submitted)))))

    assert {"OrangeSmsContractRefused"} == firing(scraped)


@needs_promtool
async def test_receipts_of_one_country_are_lost(opened, line, firing):
    """
    The other country's go on.
    """
    queue = opened(100)
    scraped, hour = Scraped(queue), 3600
    async with queue:
        for hours in range(14):
            for n in range(60):
                for to in ("+2250701020304", "+221771234567"):
                    id_ = await queue.send(named(f"{hours}-{n}-{to[:4]}", to))
                    if to.startswith("+225") or hours < 12:
                        await queue.keep(receipt(id_, number=to))
                if n % 15 == 0:
                    scraped.scrape()
                    await pass_at_once(hour / 4)

    assert {"OrangeSmsDeliveryBelowItsWeek"} == firing(scraped, step=hour // 4)


@needs_promtool
async def test_the_senders_loop_is_blocked(line, firing):
    """
    Scraped from a thread: messages grow old, and the queue gives no reason.
    """
    queue = SendQueue(line)
    scraped = Scraped(queue)
    async with queue:
        await scraped.during(120)
        queue.submit_nowait(named("a"), priority=Priority.URGENT)
        queue.submit_nowait(named("b"), priority=Priority.URGENT)
        await asyncio.sleep(0)
        for _ in range(16):  # no turn of the loop in between
            asyncio.get_running_loop()._clock.jump(STEP)  # type: ignore[attr-defined]
            scraped.scrape()
        await queue.join()

    assert {"OrangeSmsSenderBlocked", "OrangeSmsUrgentLate", "OrangeSmsNothingLeaves"} == firing(
        scraped
    )


@needs_promtool
async def test_unknown_outcomes_grow_and_units_end(line, firing):
    """
    Two that need a person.
    """
    line.answers.extend([OutcomeUnknown()] * 1000)
    queue = SendQueue(line)
    scraped = Scraped(queue)
    units = Contract(country="CIV", offer_name="SMS_OCB", available_units=3, status="ACTIVE")
    scraped.collector.units_left([units])
    async with queue:
        for n in range(3000):
            queue.submit_nowait(named(str(n)))
        await scraped.during(120)
        await queue.aclose(drain=False)

    assert {"OrangeSmsUnknownGrows", "OrangeSmsUnitsEndBeforeTheQueue"} <= firing(scraped)


async def test_rules_and_dashboard_name_metrics_that_there_are(path):
    """
    And no others.
    """
    queue, registry = SendQueue(None, outbox=SqliteOutbox(path)), CollectorRegistry()
    register(queue, registry=registry)
    async with queue:
        names: set[Any] = {metric.name for metric in registry.collect()}

    for document in (RULES.read_text(), DASHBOARD.read_text()):
        metrics = set(re.findall(r"orange_sms_[a-z_]+\b(?!\.)", document)) - {"orange_sms_async"}
        bare = {name.removesuffix("_total").removesuffix("_bucket") for name in metrics}
        assert bare
        assert bare <= names
