"""What the tests of telemetry ask for: OpenTelemetry's SDK, keeping in memory what it is told."""

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from telemetry.scraped import Scraped

from orange_sms_async.telemetry.opentelemetry import instrument


class Seen:
    """What OpenTelemetry was told of queues."""

    def __init__(self) -> None:
        self._spans, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.traces = TracerProvider(shutdown_on_exit=False)
        self.traces.add_span_processor(SimpleSpanProcessor(self._spans))
        self._meters = MeterProvider([self._reader], shutdown_on_exit=False)

    def by(self, queue):
        instrument(queue, tracer_provider=self.traces, meter_provider=self._meters)
        return queue

    def spans(self, operation):
        return [
            span
            for span in self._spans.get_finished_spans()
            if operation == span.attributes.get("messaging.operation.name")
        ]

    @property
    def all(self):
        return "\n".join(span.to_json() for span in self._spans.get_finished_spans())

    def attributes(self):
        """All names and values that are told of spans, what hangs on them, and metrics."""
        for span in self._spans.get_finished_spans():
            for attributes in (span.attributes, *(each.attributes for each in span.links)):
                yield from (attributes or {}).items()
        for points in self.metrics().values():
            for point in points:
                yield from point.attributes.items()

    def metrics(self):
        told = self._reader.get_metrics_data()
        return {
            metric.name: metric.data.data_points
            for resource in (told.resource_metrics if told else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def shutdown(self):
        self.traces.shutdown()
        self._meters.shutdown()


@pytest.fixture
def seen():
    seen = Seen()
    yield seen
    seen.shutdown()


@pytest.fixture
def scraping(tmp_path):
    """Scrape a queue from now on."""
    made = []

    def scraping(queue):
        made.append(Scraped(queue, tmp_path))
        return made[-1]

    yield scraping
    for each in made:
        each.close()
