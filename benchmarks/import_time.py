"""What does the import cost, compared with the dependencies, and what does a first `put` cost?"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import attrs
from _results import keep
from _table import check, table

ROUNDS = 21
NOTHING = "pass"
DEPENDENCIES = "import httpx, anyio, attrs, cattrs, aiolimiter"
ALONE = "import orange_sms_async"  # loads a name when it is asked for
OURS = "from orange_sms_async import *"
PUT = """
from orange_sms_async import OutboundMessage, SqliteOutbox
SqliteOutbox({path!r}).put(OutboundMessage("+2250701020304", "Bonjour"))
"""
TARGET = 1.25


@attrs.frozen
class Cost:
    """Seconds, on the wall and of the processor."""

    wall: float
    processor: float

    def __sub__(self, other: "Cost") -> "Cost":
        return Cost(self.wall - other.wall, self.processor - other.processor)


def cost(program: str, bytecode: str) -> Cost:
    # Where no bytecode may be written, an installed dependency has its own and a checkout has none.
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode, "PYTHONDONTWRITEBYTECODE": ""}
    before = now()
    ended = subprocess.run([sys.executable, "-c", program], check=False, env=environment)
    spent = now() - before
    check(ended.returncode == 0, f"`{program}` works")
    return spent


def now() -> Cost:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(time.perf_counter(), used.ru_utime + used.ru_stime)


def median(costs: list[Cost]) -> Cost:
    return Cost(
        statistics.median(each.wall for each in costs),
        statistics.median(each.processor for each in costs),
    )


def first_puts() -> list[Cost]:
    """Put a message into an existing file, each time in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        program = PUT.format(path=f"{folder}/sms.db")
        cost(program, folder)
        return [cost(program, folder) for _ in range(ROUNDS)]


def main() -> None:
    with tempfile.TemporaryDirectory() as bytecode:
        programs = (NOTHING, DEPENDENCIES, ALONE, OURS)
        for program in programs:
            cost(program, bytecode)  # writes the bytecode, and warms the disk's cache
        # In turns and compared pairwise: a busy moment of the machine meets both.
        rounds = [[cost(each, bytecode) for each in programs] for _ in range(ROUNDS)]
    nothing, dependencies, alone, names = zip(*rounds, strict=True)
    bare = median([*nothing])
    theirs = [each - bare for each in dependencies]
    ours = [each - bare for each in names]
    pairs = list(zip(ours, theirs, strict=True))
    ratios = [Cost(a.wall / b.wall, a.processor / b.processor) for a, b in pairs]
    print(f"Median of {ROUNDS} fresh interpreters each, in turns, less the start of a bare one:\n")
    rows = [
        [name, f"{spent.wall * 1e3:.0f}", f"{spent.processor * 1e3:.0f}"]
        for name, spent in [
            ("bare interpreter", bare),
            ("its five dependencies", median(theirs)),
            ("the package alone", median([each - bare for each in alone])),
            ("all its names", median(ours)),
        ]
    ]
    ratio = median(ratios)
    rows.append(["ratio, median of pairs", f"{ratio.wall:.3f}", f"{ratio.processor:.3f}"])
    table(["", "wall ms", "CPU ms"], rows)
    print(f"\nTarget: a ratio of at most {TARGET}.")
    keep("import_time", ratio.processor)
    put = median(first_puts()) - bare
    print(f"\nImport and first put of a process: {put.processor * 1e3:.0f} ms of the processor.")
    print("Target: at most 80 ms.")
    keep("first_put", put.processor)


if __name__ == "__main__":
    main()
