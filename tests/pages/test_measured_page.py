"""The tables of docs/measured.md are those of the run whose results are kept."""

import subprocess
import sys

from pages.written import DOCS, ROOT

PAGE = DOCS / "measured.md"
PROGRAM = "import _page; print(_page.filled(_page.PAGE.read_text('utf-8'), _page.read()), end='')"


def test_its_tables_are_the_results():
    """
    Who runs the benchmarks anew has the page written anew.
    """
    written = subprocess.check_output(
        [sys.executable, "-c", PROGRAM], cwd=ROOT / "benchmarks", text=True, encoding="utf-8"
    )

    assert written == PAGE.read_text("utf-8")
    assert 5 == written.count("\n| --- |")
