"""What an export wrote."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cli.render.amounts import counted, size
from continual_dml.reports import SCHEMA_VERSION

if TYPE_CHECKING:
    from pathlib import Path

    from cli.exporting import ExportOutcome
    from cli.shell import Shell


def show_export(shell: Shell, path: Path, outcome: ExportOutcome) -> None:
    """Write what was exported to stdout."""
    if shell.as_json:
        shell.emit_json(export_document(path, outcome))
        return
    card, entry = outcome.card, outcome.entry
    written = f"{path}: {size(entry.size)}, sha256 {entry.sha256}"
    shell.emit_line(written)
    if outcome.items is not None:
        items = counted(outcome.items, "item", "items")
        shell.emit_line(f"{items} of generation {card.generation}, {card.embedding_dimension} numbers each")
        if outcome.without_feature:
            shell.note(
                f"{counted(outcome.without_feature, 'item has', 'items have')} no feature in the file: an "
                "earlier model gave it; `cdml refresh` embeds anew what is reachable"
            )
        return
    shell.emit_line(
        f"model of generation {card.generation}: squares of {card.stored_side_pixels} x "
        f"{card.stored_side_pixels} pixels to {card.embedding_dimension} numbers, "
        f"and {card.feature_dimension} of the feature"
    )
    parity = outcome.parity
    if parity is not None:
        what = "images of the gallery" if parity.of_items else "random squares"
        shell.emit_line(
            f"compared on {parity.images} {what}: vectors differ by at most {parity.embedding:.1e}, features "
            f"by {parity.feature:.1e} of their length"
        )


def export_document(path: Path, outcome: ExportOutcome) -> dict[str, Any]:
    """Return what ``cdml export`` wrote."""
    return {
        "schema_version": SCHEMA_VERSION,
        "file": str(path),
        "bytes": outcome.entry.size,
        "sha256": outcome.entry.sha256,
        "items": outcome.items,
        "without_feature": outcome.without_feature,
        "model": asdict(outcome.card),
        "parity": None if outcome.parity is None else asdict(outcome.parity),
    }
