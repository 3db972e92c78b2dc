"""A rate as people give it: messages a second, or `off`."""

import math

import typer


def messages_a_second(given: str | float) -> float:
    """
    Read `--rate`; `off` is infinity.

    Raises:
        typer.BadParameter: neither a number above 0 nor `off`.
    """
    if given == "off":
        return math.inf
    try:
        rate = float(given)
    except ValueError:
        rate = math.nan
    if not 0 < rate <= math.inf:
        raise typer.BadParameter("a number above 0 (messages a second), or off")
    return rate
