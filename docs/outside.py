"""
Gathers what the site is built from: docs/, and what stands outside of it.

    python docs/outside.py build/pages

The repository's links become the site's, and each page gets its description and its language.
"""

import json
import posixpath
import re
import shutil
import sys
from pathlib import Path

import llms

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BROUGHT = {
    "README.md": "index.md",
    "README.fr.md": "fr/index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "benchmarks.md",
} | {f"examples/{path.name}": f"examples/{path.name}" for path in ROOT.glob("examples/*.*")}
LINK = re.compile(r'(\]\(|src=")(?![a-z]+:|#)([^)"#]+)')


def gather(folder: Path) -> None:
    """Make the folder anew."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(DOCS, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__", "theme"))
    for source, uri in BROUGHT.items():
        (folder / uri).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / source, folder / uri)
    pages = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.md")}
    texts = {uri: of_the_site(uri, path.read_text("utf-8")) for uri, path in pages.items()}
    for uri, text in texts.items():
        pages[uri].write_text(meta(uri) + text, "utf-8")
    llms.write(folder, texts)


def of_the_site(uri: str, markdown: str) -> str:
    """Have the links of a page lead to where the site has what they lead to in the repository."""
    source = next((source for source, there in BROUGHT.items() if there == uri), f"docs/{uri}")

    def moved(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link[2]))
        there = BROUGHT.get(target, target.removeprefix("docs/"))
        return link[1] + posixpath.relpath(there, posixpath.dirname(uri) or ".")

    return LINK.sub(moved, markdown)


def meta(uri: str) -> str:
    """Say what a page is about, and in what language: docs/theme reads it."""
    language = "fr" if uri.startswith("fr/") else "en"
    about = json.dumps(llms.ABOUT[uri], ensure_ascii=False)
    return f"---\ndescription: {about}\nlang: {language}\n---\n\n"


if __name__ == "__main__":
    gather(Path(sys.argv[1]))
