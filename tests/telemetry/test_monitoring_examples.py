"""The examples of monitoring, as they are, against a sandbox in a process of its own."""

import contextlib
import importlib.util
from pathlib import Path

import httpx
import pytest
from cli.served import served_sandbox
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from orange_sms_async.cli.serving import bind, serving

pytestmark = pytest.mark.real_time

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def web(monkeypatch):
    @contextlib.asynccontextmanager
    async def web(name):
        with served_sandbox("--rate", "off") as sandbox:
            for variable, value in sandbox.environment.items():
                monkeypatch.setenv(variable, value)
            spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
            assert spec
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            async with (
                serving(module.app, bind("127.0.0.1", 0)) as url,
                httpx.AsyncClient(base_url=url, trust_env=False) as client,
            ):
                yield client, module

    return web


async def test_prometheus_reads_what_was_sent(web):
    """
    From the application itself.
    """
    async with web("monitoring_prometheus") as (client, _):
        await client.post("/greetings", json={"to": "+2250700000001"})
        scraped = (await client.get("/metrics/")).text

    assert 'orange_sms_settled_total{country="CIV",state="sent"} 1.0' in scraped
    assert "orange_sms_units_left{" in scraped


async def test_opentelemetry_has_the_spans(web):
    """
    That of the submission, and that of the attempt.
    """
    spans = InMemorySpanExporter()
    async with web("monitoring_opentelemetry") as (client, module):
        module.traces.add_span_processor(SimpleSpanProcessor(spans))
        await client.post("/greetings", json={"to": "+2250700000001"})

    names = [span.name for span in spans.get_finished_spans()]
    assert ["submit tel:+2250000", "send tel:+2250000"] == names
