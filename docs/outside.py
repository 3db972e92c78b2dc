"""Brings into the site what stands outside docs/, and makes the repository's links its own."""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
BROUGHT = {
    "README.md": "index.md",
    "README.fr.md": "fr/index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "benchmarks.md",
} | {f"examples/{path.name}": f"examples/{path.name}" for path in ROOT.glob("examples/*.*")}
LINK = re.compile(r'(\]\(|src=")(?![a-z]+:|#)([^)"#]+)')


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for source, uri in BROUGHT.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    source = next((s for s, uri in BROUGHT.items() if uri == page.file.src_uri), None)
    folder = posixpath.dirname(source or f"docs/{page.file.src_uri}")

    def moved(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, link[2]))
        uri = BROUGHT.get(target, target.removeprefix("docs/"))
        return link[1] + posixpath.relpath(uri, posixpath.dirname(page.file.src_uri) or ".")

    return LINK.sub(moved, markdown)


def on_post_page(output: str, page: Page, **_: object) -> str:
    """Tell browsers and screen readers which pages are French."""
    if page.file.src_uri.startswith("fr/"):
        return output.replace('<html lang="en"', '<html lang="fr"', 1)
    return output
