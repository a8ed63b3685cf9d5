"""``cdml init``: make a workspace."""

from __future__ import annotations

from typing import Any

import typer

from cli import options
from cli.shell import entered


def init(
    context: typer.Context,
    backbone: options.Backbone = None,
    weights: options.Weights = None,
    embedding_dim: options.EmbeddingDim = None,
    image_side: options.ImageSide = None,
    feature_map: options.FeatureMap = None,
    freeze_batch_norm: options.FreezeBatchNorm = None,
    flip: options.Flip = None,
    database_url: options.DatabaseUrl = None,
    workspace: options.Workspace = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Make a workspace.

    Chooses the network and the weights that it starts from; both stay as they are for the workspace's life.
    """
    flags: dict[str, Any] = {
        "backbone": backbone,
        "weights": weights,
        "embedding_dim": embedding_dim,
        "image_side": image_side,
        "feature_map": feature_map,
        "freeze_batch_norm": freeze_batch_norm,
        "flip": flip,
        "database_url": database_url,
    }
    with entered(context, workspace, as_json, quiet, debug) as shell:
        from cli.render.documents import init_document
        from cli.settings import merged_options, workspace_settings
        from cli.wiring import create_workspace

        chosen = merged_options(flags)
        settings = workspace_settings(chosen)
        made = create_workspace(shell.folder, settings, chosen.get("database_url"), chosen.get("weights"))
        if shell.as_json:
            shell.emit_json(init_document(made))
            return
        source = made.weights_note.get("source", "none, it starts from scratch")
        model = made.settings.model
        shell.emit(
            f"workspace {made.root}: {model.backbone}, weights {source}, "
            f"{model.embedding_dim} numbers per image"
        )
        shell.note("next: cdml ingest-task FOLDER, where FOLDER holds one folder of images per category")
