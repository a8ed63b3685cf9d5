"""``cdml init``: make a workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from cli import options
from cli.shell import entered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.shell import Shell
    from storage.workspace import Workspace


def init(
    context: typer.Context,
    backbone: options.Backbone = None,
    weights: options.Weights = None,
    embedding_dim: options.EmbeddingDim = None,
    image_side: options.ImageSide = None,
    feature_map: options.FeatureMap = None,
    freeze_batch_norm: options.FreezeBatchNorm = None,
    flip: options.Flip = None,
    cohort: options.Cohort = None,
    cohort_backbones: options.CohortBackbones = None,
    cohort_weights: options.CohortWeights = None,
    ensemble: options.Ensemble = None,
    database_url: options.DatabaseUrl = None,
    keep_generations: options.KeepGenerations = None,
    index: options.Index = None,
) -> None:
    """Make a workspace.

    Chooses the network, or a cohort of networks, and the weights that it starts from; all of this stays as it
    is for the workspace's life. With --cohort M an ingest takes M times as long, and a query is answered by
    the ensemble.
    """
    flags: dict[str, Any] = {
        "backbone": backbone,
        "weights": weights,
        "embedding_dim": embedding_dim,
        "image_side": image_side,
        "feature_map": feature_map,
        "freeze_batch_norm": freeze_batch_norm,
        "flip": flip,
        "cohort": cohort,
        "cohort_backbones": cohort_backbones,
        "cohort_weights": cohort_weights,
        "ensemble": ensemble,
        "database_url": database_url,
        "keep_generations": keep_generations,
        "index": index,
    }
    with entered(context) as shell:
        from cli.render.networks import show_init

        show_init(shell, _make(shell, flags))


def _make(shell: Shell, flags: dict[str, Any]) -> Workspace:
    from cli.settings import listed, new_workspace_options, workspace_settings
    from cli.wiring import create_workspace

    chosen = new_workspace_options(flags)
    settings = workspace_settings(chosen)
    further: Sequence[str | None] = ()
    if "cohort_weights" in chosen:
        further = listed("--cohort-weights", chosen["cohort_weights"])
    if shell.offline:
        from cli.starting_weights import without_download

        chosen["weights"] = without_download(chosen.get("weights"))
        further = [without_download(one) for one in further]
    url, start = chosen.get("database_url"), chosen.get("weights")
    kept, kind = chosen.get("keep_generations", 1), chosen.get("index", "flat")
    return create_workspace(shell.folder, settings, url, start, further, kept, kind)
