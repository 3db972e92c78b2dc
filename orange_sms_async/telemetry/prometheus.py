"""A queue's numbers for Prometheus: its statistics, and counts of its events."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from orange_sms_async.account import Contract
from orange_sms_async.countries import COUNTRIES
from orange_sms_async.events import WaitingFor
from orange_sms_async.outcomes import State
from orange_sms_async.receipts import DeliveryStatus
from orange_sms_async.sendqueue.queue import SendQueue
from orange_sms_async.sendqueue.statistics import QueueStatistics
from orange_sms_async.telemetry.labels import ERRORS, OTHER, RULES
from orange_sms_async.telemetry.tally import ACCEPTED, Histogram, Tally

try:
    from prometheus_client import REGISTRY, CollectorRegistry
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        Metric,
    )
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "telemetry.prometheus needs: pip install 'orange-sms-async[prometheus]'", name=error.name
    ) from error

_FINISHED = [state for state in State if state.finished]
_STATUSES = [*map(str, DeliveryStatus), OTHER]
_CODES = {country.code for country in COUNTRIES}


def register(queue: SendQueue, *, registry: CollectorRegistry = REGISTRY) -> "QueueCollector":
    """
    Register a queue's metrics, which are read at each scrape.

    Call this before the queue is opened: earlier events are not counted. A queue that is not open
    yet has no numbers.

    Args:
        queue: a queue of this process. Two queues need two registries.
        registry: by default the one that prometheus_client serves.

    Returns:
        The collector, which can also be told how many units are left.

    Raises:
        ValueError: the registry has a queue already.
    """
    collector = QueueCollector(queue)
    registry.register(collector)
    queue.listeners.add(collector.tally.listeners)
    return collector


class QueueCollector:
    """
    What a registry asks at each scrape, from any thread.

    Args:
        queue: the queue whose numbers are read.

    Attributes:
        tally: the counts of the queue's events.
    """

    def __init__(self, queue: SendQueue) -> None:
        self._queue, self.tally = queue, Tally()
        self._units_left: dict[str, int] = {}

    def units_left(self, contracts: Iterable[Contract]) -> None:
        """
        Note the units left in the account, as `client.contracts()` returned them.

        Call it now and then: a contract changes as it is used, without notice.

        Args:
            contracts: those of all countries. Those that are not ACTIVE count as empty.
        """
        left = dict.fromkeys(self._units_left, 0)
        for contract in contracts:
            country = contract.country if contract.country in _CODES else OTHER
            units = contract.available_units if contract.status == "ACTIVE" else 0
            left[country] = left.get(country, 0) + units
        self._units_left = left

    def describe(self) -> list[Metric]:
        """Name the metrics, so that a registry has each of them once."""
        return list(self._events())

    def collect(self) -> Iterator[Metric]:
        """Yield the numbers as they are now."""
        if self._queue.is_open:
            yield from self._statistics(self._queue.statistics())
        yield from self._events()

    def _statistics(self, seen: QueueStatistics) -> Iterator[Metric]:
        waiting = {lane.name: count for lane, count in seen.waiting.items()}
        yield self._gauge(
            "waiting", "Messages not on the wire yet, including scheduled ones", waiting, "lane"
        )
        oldest = {lane.name: age for lane, age in seen.oldest.items()}
        help_ = "Seconds since the oldest message here could have left"
        yield self._gauge("oldest_seconds", help_, oldest, "lane")
        reasons = {str(each): each is seen.waiting_for for each in WaitingFor}
        yield self._gauge("waiting_for", "1 for the reason why nothing leaves", reasons, "reason")
        for name, value, help_ in (
            ("in_flight", seen.in_flight, "Messages on the wire"),
            ("pace", seen.pace, "Slots a second"),
            ("guard_ratio", seen.guard, "How much further apart slots are than the rate asks"),
            ("has_turn", seen.has_turn, "1 where this process sends"),
            ("stopped", seen.stopped is not None, "1 once the queue sends nothing more by itself"),
        ):
            yield GaugeMetricFamily(f"orange_sms_{name}", help_, value=float(value))
        yield CounterMetricFamily(
            "orange_sms_throttled", "Attempts that Orange throttled", value=seen.throttled
        )

    def _events(self) -> Iterator[Metric]:
        tally = self.tally
        countries = sorted({country for country, _ in list(tally.settled)})
        # A counter that begins with its first event hides that event from increase().
        settled = {(c, str(s)): tally.settled[c, s] for c in countries for s in _FINISHED}
        yield self._counter("settled", "Messages settled here", settled, "country", "state")
        attempts = {(result,): tally.attempts[result] for result in (ACCEPTED, *ERRORS)}
        yield self._counter("attempts", "Requests, by result", attempts, "result")
        withheld = {(rule,): tally.withheld[rule] for rule in RULES}
        yield self._counter("withheld", "Messages withheld by a rule", withheld, "rule")
        units = {(country,): tally.units[country] for country in countries}
        yield self._counter("units", "SMS units of accepted messages", units, "country")
        reporting = sorted({*countries, *(country for country, _ in list(tally.receipts))})
        receipts = {(c, s): tally.receipts[c, s] for c in reporting for s in _STATUSES}
        yield self._counter("receipts", "Receipts stored here", receipts, "country", "status")
        yield self._histogram("accepted_seconds", "From submission to acceptance", tally.accepted)
        yield self._histogram("delivered_seconds", "From acceptance to the phone", tally.delivered)
        yield self._gauge("units_left", "Units in ACTIVE contracts", self._units_left, "country")

    def _gauge(self, name: str, help_: str, values: Mapping[str, float], label: str) -> Metric:
        gauge = GaugeMetricFamily(f"orange_sms_{name}", help_, labels=[label])
        for key, value in values.items():
            gauge.add_metric([key], float(value))
        return gauge

    def _counter(self, name: str, help_: str, values: Mapping[Any, int], *labels: str) -> Metric:
        counter = CounterMetricFamily(f"orange_sms_{name}", help_, labels=labels)
        for key, value in values.items():
            counter.add_metric(key, value)
        return counter

    def _histogram(self, name: str, help_: str, values: Histogram) -> Metric:
        return HistogramMetricFamily(
            f"orange_sms_{name}", help_, buckets=values.buckets, sum_value=values.sum
        )
