"""Tables on a terminal of any width, and in a pipe."""

from collections.abc import Sequence

from rich.table import Table

from orange_sms_async.cli.progress import console

_WIDEST = 10_000  # columns: in a pipe nothing is folded


def table(*columns: str, numbers: Sequence[str] = (), whole: Sequence[str] = ()) -> Table:
    """
    Make a table without lines, which fold badly and are no good in a pipe.

    numbers: the columns that are aligned to the right.
    whole: those that are not folded besides these.
    """
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(
            column,
            justify="right" if column in numbers else "left",
            overflow="fold",
            no_wrap=column in numbers or column in whole,
        )
    return made


def show(made: Table) -> None:
    """Print a table, as wide as the terminal allows; in a pipe as wide as it is."""
    screen = console()
    if not screen.is_terminal:
        screen.width = _WIDEST
    screen.print(made, soft_wrap=False)
