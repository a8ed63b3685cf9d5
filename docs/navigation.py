"""A hook of mkdocs: every decision in docs/adr is in the navigation, without being listed by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

DECISIONS = "Decisions"


def on_config(config: Any) -> Any:  # noqa: ANN401 - mkdocs hands over a mapping of its own
    """Replace the folder of decisions in the navigation by its pages, oldest first."""
    folder = Path(config["docs_dir"]) / "adr"
    pages = [f"adr/{page.name}" for page in sorted(folder.glob("*.md"))]
    config["nav"] = [{DECISIONS: pages} if DECISIONS in entry else entry for entry in config["nav"]]
    return config
