"""A small plain table on stdout, and the ending of a benchmark."""

import sys
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    lines = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        first, *others = (
            cell.ljust(width) if n == 0 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  ".join([first, *others]).rstrip())


def percent(share: float) -> str:
    return f"{share:.2%}"


def check(holds: bool, claim: str) -> None:
    """End the program if a claim is untrue. A slow result does not end it."""
    if not holds:
        sys.exit(f"NOT TRUE: {claim}")
