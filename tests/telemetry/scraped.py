"""What Prometheus sees of a queue: what is served, scraped as text, and asked of promtool."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.parser import text_string_to_metric_families

from orange_sms_async.telemetry.prometheus import register

RULES = Path(__file__).parents[2] / "docs" / "monitoring" / "alerts.yml"
DASHBOARD = RULES.with_name("grafana.json")
PROMTOOL = shutil.which("promtool")
STEP = 15  # seconds between two scrapes, as Prometheus is told
LABELS = 'instance="web:8000"'

needs_promtool = pytest.mark.skipif(
    PROMTOOL is None and not os.environ.get("BROWSER_TESTS"),
    reason="no promtool: `apt-get install prometheus`, and the alert rules are tried",
)


def panels():
    """The expressions of the dashboard, by the title of their panel."""
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return {
        panel["title"]: [target["expr"] for target in panel["targets"]]
        for panel in dashboard["panels"]
    }


def scrape(url):
    """Read what is served now: each series, and its value."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=10) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return {
        f"{sample.name}{{{','.join([*_labels(sample.labels), LABELS])}}}": sample.value
        for family in families
        for sample in family.samples
    }


def _labels(labels):
    return [f'{name}="{value}"' for name, value in labels.items()]


class Scraped:
    """The series of a queue, served by a thread of their own, one value each step."""

    def __init__(self, queue, folder):
        self._file, self._series, self.times = folder / "staged.yml", dict[str, list[str]](), 0
        registry = CollectorRegistry()
        self.collector = register(queue, registry=registry)
        self._server, _ = start_http_server(0, "127.0.0.1", registry)
        self.url = f"http://127.0.0.1:{self._server.server_port}/metrics"

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def scrape(self):
        seen = scrape(self.url)
        for series in self._series.keys() | seen.keys():
            values = self._series.setdefault(series, ["_"] * self.times)
            values.append(f"{seen[series]:g}" if series in seen else "_")
        self.times += 1

    async def during(self, seconds, each_step=lambda: None, *, every=STEP):
        """Scrape for so many seconds of Prometheus's; a step takes `every` of the loop's."""
        for _ in range(int(seconds / STEP)):
            if awaited := each_step():
                await awaited
            await asyncio.to_thread(self.scrape)
            await asyncio.sleep(every)

    def firing(self, step=STEP):
        """Name the alerts that fire at the last scrape."""
        seen = self.ask('count by (alertname) (ALERTS{alertstate="firing"})', step=step)
        return {labels.split('"')[1] for labels in seen}

    def shown(self, title, curve=0, *, step=STEP):
        """What a panel of the dashboard shows at the last scrape: values by their labels."""
        return self.ask(panels()[title][curve], step=step)

    def ask(self, expr, step=STEP):
        """Have promtool evaluate an expression, which tells what it got where it expected none."""
        at = f"{(self.times - 1) * step}s"
        impossible = [{"labels": "none", "value": -1}]
        asked = {"expr": expr, "eval_time": at, "exp_samples": impossible}
        series = [
            {"series": name, "values": " ".join(values)} for name, values in self._series.items()
        ]
        test = {"interval": f"{step}s", "input_series": series, "promql_expr_test": [asked]}
        rules = {"rule_files": [str(RULES)], "evaluation_interval": f"{step}s", "tests": [test]}
        self._file.write_text(json.dumps(rules))  # which is YAML, too
        assert PROMTOOL
        done = subprocess.run(
            [PROMTOOL, "test", "rules", self._file], capture_output=True, text=True, check=False
        )
        said = f"{done.stdout}{done.stderr}"
        [got] = [line for line in said.splitlines() if "got:" in line] or [said]
        assert "got:" in got, got
        found = re.findall(r"((?:[a-z_]+)?\{[^}]*\}) ([-+0-9.E]+|NaN)", got)
        return {labels: float(value) for labels, value in found}
