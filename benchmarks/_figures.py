"""The figures that the docs show, drawn from results.json."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from _results import read
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
LIMIT, SHOWN = 5, 30.0  # a second; seconds
KIB, MIB = 1024, 1024**2
COLOURS = ("#9aa0a6", "#5f6368", "#c9a227", "#8a6d1d", "#ff7900")  # ours is the last


def arrivals(cases: dict[str, list[float]]) -> None:
    """How many arrived within the second before each arrival, against the limit."""
    size = (8, 1.6 * len(cases))
    figure, axes = plt.subplots(
        len(cases), 1, figsize=size, sharex=True, sharey=True, layout="constrained"
    )
    for axis, (name, times) in zip(axes, cases.items(), strict=True):
        shown = [time for time in times if time < SHOWN]
        counts = [sum(time - 1 < other <= time for other in shown) for time in shown]
        axis.step(shown, counts, where="post", color=COLOURS[-1 if "SendQueue" in name else 1])
        axis.axhline(LIMIT, color="black", linewidth=0.8, linestyle="--")
        axis.set_title(name, loc="left", fontsize=9)
        axis.set_ylim(0, 10)
    axes[-1].set_xlabel("seconds")
    figure.supylabel("arrived within the last second", fontsize=9)
    save("arrivals")


def goodput(cases: list[dict[str, Any]]) -> None:
    """Share of the allowance accepted, and of requests throttled, by network for each rule."""
    rules = list(dict.fromkeys(case["server"] for case in cases))
    size = (3.2 * len(rules), 6.4)
    figure, axes = plt.subplots(2, len(rules), figsize=size, sharex=True, sharey="row")
    for column, rule in enumerate(rules):
        of_rule = [case for case in cases if case["server"] == rule]
        bars(axes[0][column], of_rule, "network", "sender", "goodput")
        bars(axes[1][column], of_rule, "network", "sender", "throttled")
        axes[0][column].set_title(rule, fontsize=10)
        axes[1][column].tick_params(axis="x", labelrotation=90, labelsize=7)
    axes[0][0].set_ylabel("accepted, of 5 a second")
    axes[1][0].set_ylabel("throttled, of all requests")
    axes[0][0].set_ylim(0.5, 1.02)
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="lower center", ncols=5, fontsize=8)
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    save("goodput", tight=False)


def throughput(cases: list[dict[str, Any]]) -> None:
    _, axis = plt.subplots(figsize=(8, 4))
    bars(axis, cases, "case", "loop", "rate")
    axis.tick_params(axis="x", labelrotation=30, labelsize=8)
    axis.set_ylabel("messages a second, 20 at once")
    axis.legend(fontsize=8)
    save("throughput")


def memory(measured: dict[str, Any]) -> None:
    _, axis = plt.subplots(figsize=(6, 3.5))
    numbers, grown = zip(*[(0, 0.0), *measured["growth"]], strict=True)
    most = [number * 1.5 * KIB / MIB for number in numbers]
    axis.plot(numbers, [each / MIB for each in grown], "o-", color=COLOURS[-1], label="SendQueue")
    axis.plot(numbers, most, "--", color="black", label="1.5 KiB each")
    axis.set_xlabel("waiting messages")
    axis.set_ylabel("MiB")
    axis.legend(fontsize=8)
    save("memory")


def bars(axis: Axes, cases: list[dict[str, Any]], group: str, kind: str, value: str) -> None:
    groups = list(dict.fromkeys(case[group] for case in cases))
    kinds = list(dict.fromkeys(case[kind] for case in cases))
    width = 0.8 / len(kinds)
    colours = COLOURS[-len(kinds) :]
    for number, (name, colour) in enumerate(zip(kinds, colours, strict=True)):
        heights = [case[value] for case in cases if case[kind] == name]
        places = [at + (number - (len(kinds) - 1) / 2) * width for at in range(len(groups))]
        axis.bar(places, heights, width, label=name, color=colour)
    axis.set_xticks(range(len(groups)), groups)


def save(name: str, *, tight: bool = True) -> None:
    FIGURES.mkdir(exist_ok=True)
    # No date, and the same ids each time, so that an unchanged figure is an unchanged file.
    box = "tight" if tight else None
    plt.savefig(FIGURES / f"{name}.svg", metadata={"Date": None}, bbox_inches=box)
    plt.close()


DRAWN: dict[str, Callable[[Any], None]] = {
    "pace": arrivals,
    "virtual_pace": goodput,
    "throughput": throughput,
    "memory": memory,
}


def main() -> None:
    mpl.rcParams["svg.hashsalt"] = "orange-sms-async"
    mpl.rcParams["axes.spines.top"] = mpl.rcParams["axes.spines.right"] = False
    results = read()
    for question, draw in DRAWN.items():
        draw(results[question])


if __name__ == "__main__":
    main()
