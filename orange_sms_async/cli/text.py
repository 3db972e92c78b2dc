"""A text given on the command line, or on stdin."""

import sys
from typing import Annotated

import typer

Text = Annotated[
    str, typer.Argument(metavar="TEXT", help="What the recipient reads; - reads it from stdin.")
]


def read(given: str) -> str:
    """
    Return the text; of stdin without the line break that ends it.

    Raises:
        typer.BadParameter: it is empty or not UTF-8.
    """
    try:
        text = sys.stdin.buffer.read().decode() if given == "-" else given
        text.encode()
    except UnicodeError:
        raise typer.BadParameter("not UTF-8", param_hint="TEXT") from None
    if given == "-":
        text = text.removesuffix("\n").removesuffix("\r")
    if not text.strip():
        raise typer.BadParameter("may not be empty", param_hint="TEXT")
    return text
