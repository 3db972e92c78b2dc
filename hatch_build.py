"""Completes the package's metadata with addresses, which only the place of publication knows."""

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_API = "https://developer.orange.com/apis/sms"
# Not those to other sites, nor within the page.
_PICTURE = re.compile(r"(!\[[^]]*\]\()(?!https?:)")
_LINK = re.compile(r"(?<!!)(\[[^]]*\]\()(?!https?:|#)")


class Addresses(MetadataHookInterface):
    """
    Adds the links of the project, and makes those of the README work from everywhere.

    GitHub Actions sets the variables. Without them, as in a clone, links stay relative.
    """

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the fields `urls` and `readme`."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        metadata["urls"] = {"Orange's API": _API}
        if name := os.environ.get("GITHUB_REPOSITORY"):
            source = f"{os.environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{name}"
            version = os.environ.get("GITHUB_REF_NAME", "HEAD")
            metadata["urls"] |= _links(source, version)
            text = _PICTURE.sub(rf"\1{source}/raw/{version}/", text)
            text = _LINK.sub(rf"\1{source}/blob/{version}/", text)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def _links(source: str, version: str) -> dict[str, str]:
    return {
        "Source": source,
        "Documentation": f"{source}/blob/{version}/docs/start.md",
        "Changelog": f"{source}/blob/{version}/CHANGELOG.md",
        "Issues": f"{source}/issues",
    }
