"""``cdml export``: the model or the gallery, for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import report_options
from cli.shell import entered

ExportWhere = Annotated[
    str | None,
    typer.Option(
        metavar="FILTER",
        help="Export only these gallery items, as `cdml query` has it; for .parquet and .npz.",
    ),
]


def export(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A new file; it ends in .onnx, .pt2, .parquet or .npz.")
    ],
    generation: report_options.ReportGeneration = None,
    where: ExportWhere = None,
    features: Annotated[
        bool,
        typer.Option(
            "--features",
            help="Also export what heads are applied to, so that another workspace with the same model can "
            "import the items; for .parquet and .npz.",
        ),
    ] = False,
) -> None:
    """Export the model or the gallery into FILE, whose name says what, since each format holds one of them.

    FILE.onnx (ONNX) and FILE.pt2 (torch.export; TorchScript is deprecated and not offered) are the whole
    model: squares of bytes in, unit vectors and features out, in batches of any size, described by metadata.
    It is compared with the workspace's own before it is written. FILE.parquet and FILE.npz are the gallery:
    ids, categories, paths, vectors. Parquet and ONNX need the extra: pip install 'cdml[export]'.
    """
    with entered(context) as shell:
        from cli.exporting import ExportRequest, run_export
        from cli.render.exports import show_export
        from cli.render.progress import progress_listener
        from cli.wiring import open_workspace
        from storage.filters import parse_filter

        chosen = None if where is None else parse_filter(where)
        request = ExportRequest(file, generation, chosen, features)
        opened = open_workspace(shell.folder)
        with progress_listener(shell) as listener:
            outcome = run_export(request, opened, listener)
        show_export(shell, file, outcome)
