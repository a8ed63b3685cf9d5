"""``cdml import-embeddings``: images that were embedded elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli import options
from cli.shell import INCOMPLETE, entered


def import_embeddings(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A .parquet or .npz with path, category, feature and, better, content_hash and embedding.",
        ),
    ],
    images: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where relative paths start from. Default: the folder of FILE."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of this addition, for filters. Default: the file's.")
    ] = None,
    device: options.Device = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be added and what left out.")
    ] = False,
) -> None:
    """Add images that this workspace's model embedded elsewhere, without embedding them here.

    FILE has the features that the model of `cdml export FILE.onnx` gives, or is an export of another
    workspace with the same model (`cdml export FILE.parquet --features`). Vectors of other models are
    refused: they cannot be compared with this workspace's. A sample of the images that are here is embedded
    and compared. All else is as with `cdml add`. Ends with 3 when it is done but rows were left out.
    """
    flags: dict[str, Any] = {"device": device}
    with entered(context) as shell:
        from cli.importing import ImportRequest, plan_import, run_import
        from cli.render.imports import show_import, show_planned_import
        from cli.render.progress import progress_listener
        from cli.settings import compute_device, merged_options, settings_of
        from cli.wiring import open_workspace

        chosen = merged_options(flags)
        opened = open_workspace(shell.folder)
        where = compute_device(chosen, settings_of(opened))
        request = ImportRequest(file, images, name, where)
        if dry_run:
            with progress_listener(shell) as listener:
                planned = plan_import(request, opened, listener)
            plan = planned.plan
            show_planned_import(shell, planned)
        else:
            with progress_listener(shell) as listener:
                outcome, proof = run_import(request, opened, listener)
            plan = outcome.plan
            shell.published = outcome.result.generation.generation_id
            show_import(shell, outcome, proof)
        if plan.quarantined:
            shell.exit_code = INCOMPLETE
