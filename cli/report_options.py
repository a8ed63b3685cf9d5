"""The options of the commands that show or export what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import completion
from cli.options import completing, one_of

REPORT_FORMATS = ("table", "json", "csv", "markdown", "html")
ReportFormat = Annotated[
    str | None,
    typer.Option(
        "--format",
        help=f"{one_of(REPORT_FORMATS)} Default: by the end of FILE's name, else table.",
        autocompletion=completing(*REPORT_FORMATS),
    ),
]
ReportOutput = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write to this file, whole or not at all."),
]
ReportGeneration = Annotated[
    str | None,
    typer.Option(
        "--generation",
        metavar="GENERATION",
        help="A number or a tag, see `cdml generations`. Default: live.",
        autocompletion=completion.generations,
    ),
]
ReportK = Annotated[int, typer.Option("--k", "-k", min=1, help="The K of the Recall@K matrix that is shown.")]
