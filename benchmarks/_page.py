"""The tables of docs/measured.md, written from results.json."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from _results import read

PAGE = Path(__file__).parents[1] / "docs" / "measured.md"
Row = tuple[str, ...]


def accounts(results: dict[str, Any]) -> Iterator[Row]:
    yield "", "share of the rate, slowest account", "most in 1 s"
    for case in results["accounts"]:
        yield case["case"], f"{case['least']:.2%}", str(case["most_in_1s"])


def fleet(results: dict[str, Any]) -> Iterator[Row]:
    yield "", "share of the rate", "most in 1 s", "throttled", "tokens", "queries per SMS"
    for case in results["fleet at 5"]:
        counts = (str(case[name]) for name in ("most", "throttled", "tokens"))
        queries = f"{case['queries']:.1f}" if case["queries"] else "–"
        yield case["case"], f"{case['share']:.0%}", *counts, queries


def urgent(results: dict[str, Any]) -> Iterator[Row]:
    yield "1,000 probes, seconds until each leaves", "median", "p90", "p99"
    for name, percentiles in results["urgent"].items():
        yield name, *(f"{percentiles[n - 1]:.2f}" for n in (50, 90, 99))


def costs(results: dict[str, Any]) -> Iterator[Row]:
    """Yield what each of the other benchmarks measured, and its target."""
    memory, overhead, soak = results["memory"], results["overhead"], results["soak"]
    grown = soak["growth"] / soak["messages"]
    yield "", "measured", "target"
    yield "tokens for 100 sends at once", f"{results['stampede']['Client.send']:g}", "1"
    yield "a waiting message in memory", f"{memory['each_kib']:.2f} KiB", "at most 1.5 KiB"
    grew = "growth of memory"
    yield f"{grew} in a bulk of 1,000,000 rows", f"{memory['bulk_mib']:.1f} MiB", "at most 20 MiB"
    yield f"{grew} in {soak['minutes']:g} minutes, per message", f"{grown:.0f} bytes", "under 100"
    yield "to admit a message", f"{results['admission']['submit']:.1f} µs", "at most 20 µs"
    yield "a message through a queue", f"{overhead['SendQueue.submit']:.0f} µs", "at most 60 µs"
    gates = results["gates"]
    yield "an empty gate, per message", f"{gates['an empty gate']:+.1f} µs", "at most 5 µs"
    four = f"{gates['the four rules']:+.0f} µs"
    yield "a gate of the four rules, per message", four, "at most 60 µs"
    for disk, admitted in results["outbox"].items():
        rate = f"{admitted['admissions']:,.0f}/s"
        yield f"messages admitted to an outbox, {disk}", rate, "at least 3,000/s"
    _, *receivers = results["receiver"].items()
    for name, share in receivers:
        yield f"{name}: receipts, compared with a bare app", f"{share:.0%}", "at least 40%"
    sandbox = results["sandbox"]["processor_ms"]
    yield "a message through the sandbox", f"{sandbox:.2f} ms", "at most 2 ms"
    for (name, _, _, p99, _), most in zip(results["fleet rows"], (5, 10), strict=True):
        yield f"a claim in PostgreSQL, p99, {name}", f"{p99} ms", f"at most {most} ms"
    hostile, frames = results["hostile"], [view["longest"] for view in results["page"]]
    peak = f"{hostile['peak_mib']:.0f} MiB"
    yield "memory of the sandbox after 30,000 hostile requests", peak, "under 150 MiB"
    longest = f"{max(frames):.0f} ms"
    yield "longest frame of the sandbox's page, 200 requests a second", longest, "at most 50 ms"
    for name, seconds in results["virtual_campaign"].items():
        yield f"9,000 messages in virtual time, {name}", f"{seconds:.1f} s", ""
    yield (
        "time to import, compared with its five dependencies",
        f"{results['import_time']:.2f}",
        "at most 1.25",
    )


def others(results: dict[str, Any]) -> Iterator[Row]:
    posts = {tuple(case.split(": ")): number for case, number in results["others"].items()}
    names, faults = (list(dict.fromkeys(column)) for column in zip(*posts, strict=True))
    yield "POSTs of one send to a server that", *faults
    for name in names:
        yield name, *(str(posts[name, fault]) for fault in faults)


TABLES: dict[str, Callable[[dict[str, Any]], Iterator[Row]]] = {
    "accounts": accounts,
    "fleet": fleet,
    "urgent": urgent,
    "costs": costs,
    "others": others,
}


def filled(page: str, results: dict[str, Any]) -> str:
    """Put each table where a comment on the page names it, in place of the old one."""
    for name, rows in TABLES.items():
        head, *body = rows(results)
        lines = [head, ("---",) * len(head), *body]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        place = re.compile(rf"(<!-- {name} -->\n\n).*?(\n*<!-- end -->)", re.DOTALL)
        page = place.sub(rf"\g<1>{table}\n\n<!-- end -->", page)
    return page


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text("utf-8"), read()), "utf-8")
