"""``cdml demo``: the whole main job on written characters, rendered on the spot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.shell import entered

Directory = Annotated[Path, typer.Option(help="Where the demo's images, workspace and picture go.")]
ImagesOnly = Annotated[
    bool, typer.Option("--images-only", help="Only draw the five task folders, to try commands on.")
]


def demo(
    context: typer.Context,
    directory: Directory = Path("cdml-demo"),
    images_only: ImagesOnly = False,
) -> None:
    """Learn five alphabets, search, draw.

    Renders written characters, learns five sets of them one after another, measures what was forgotten,
    searches with images of each, and draws what was found. Takes a minute or two and downloads nothing.
    Its workspace is made inside the directory, -w is not used; a second run replaces the first.
    """
    with entered(context) as shell:
        from cli.demonstration import DemoSize, draw_tasks, make_demo
        from cli.render.demos import show_demo, show_folders

        if images_only:
            show_folders(shell, draw_tasks(shell, directory, DemoSize()))
        else:
            show_demo(shell, make_demo(shell, directory, DemoSize()))
