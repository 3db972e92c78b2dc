"""The pages of the documentation, taken apart into headings and blocks of code."""

import ast
import re
from pathlib import Path

import attrs

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
ROOT_PAGES = ("README.md", "README.fr.md", "CONTRIBUTING.md")
PAGES = [*(ROOT / page for page in ROOT_PAGES), *sorted(DOCS.rglob("*.md"))]
FRENCH = {
    ROOT / "README.fr.md": ROOT / "README.md",
    **{page: DOCS / page.name for page in sorted((DOCS / "fr").glob("*.md"))},
}
_FENCE = re.compile(r'^```(\w*)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)


@attrs.frozen
class Block:
    """One block of code; `title` is the file it is to be saved in."""

    language: str
    title: str
    code: str

    @property
    def meaning(self):
        """What it does, whatever language its comments are in."""
        if self.language == "python":
            return ast.dump(ast.parse(self.code))
        return re.sub(r"\s+# .*", "", self.code)


def name(page):
    return str(page.relative_to(ROOT))


def blocks(page):
    return [Block(*found) for found in _FENCE.findall(page.read_text("utf-8"))]


def headings(page):
    """Return level and words of each."""
    prose = _FENCE.sub("", page.read_text("utf-8"))
    return [(len(level), words) for level, words in _HEADING.findall(prose)]
