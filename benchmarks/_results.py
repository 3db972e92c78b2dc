"""What was measured, kept in results.json for the figures."""

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("results.json")


def keep(question: str, figures: Any) -> None:
    results = read()
    results[question] = figures
    FILE.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def read() -> dict[str, Any]:
    return json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
