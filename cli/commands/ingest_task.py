"""``cdml ingest-task``: learn a folder of new categories and publish."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli import options
from cli.shell import INCOMPLETE, REFUSED, Shell, entered

Folder = Annotated[
    Path, typer.Argument(help="PATH/<category>/*, or PATH/train/<category>/* with PATH/test/<category>/*.")
]


def ingest_task(
    context: typer.Context,
    folder: Folder,
    name: options.TaskName = None,
    method: options.Method = None,
    head: options.Head = None,
    loss: options.Loss = None,
    miner: options.Miner = None,
    epochs: options.Epochs = None,
    steps: options.Steps = None,
    learning_rate: options.LearningRate = None,
    batch_categories: options.BatchCategories = None,
    images_per_category: options.ImagesPerCategory = None,
    chunk_images: options.ChunkImages = None,
    train_stages: options.TrainStages = None,
    averaging: options.Averaging = None,
    self_distillation: options.SelfDistillation = None,
    self_distillation_weight: options.SelfDistillationWeight = None,
    self_distillation_teacher: options.SelfDistillationTeacher = None,
    changes: options.Changes = None,
    refresh: options.Refresh = None,
    budget: options.ReembedBudget = None,
    query_fraction: options.QueryFraction = None,
    queries_per_category: options.QueriesPerCategory = None,
    max_forgetting: options.MaxForgetting = None,
    min_recall: options.MinRecall = None,
    min_refresh_efficiency: options.MinRefreshEfficiency = None,
    seed: options.Seed = None,
    device: options.Device = None,
    precision: options.Precision = None,
    restart: options.Restart = False,
    tensorboard: options.TensorBoard = None,
    dry_run: options.DryRun = False,
) -> None:
    """Learn a folder of new categories.

    Trains on its images alone, refreshes the index, measures what was gained and forgotten, and publishes
    all of it or nothing. What is not given here may come from the environment (CDML_METHOD, CDML_STEPS, ...),
    from the workspace's cdml.toml or from your own file, in this order: `cdml config show --origin` tells.

    What takes more than a minute, training or embedding, is kept from time to time: after an interruption the
    same command goes on where it was. Ends with 3 when it is done but files were left out, and with 5 when
    the quality gate refused what was learned: the generation before stays live, `cdml promote` overrides.
    """
    flags: dict[str, Any] = {
        "method": method,
        "head": head,
        "loss": loss,
        "miner": miner,
        "epochs": epochs,
        "steps": steps,
        "learning_rate": learning_rate,
        "batch_categories": batch_categories,
        "images_per_category": images_per_category,
        "chunk_images": chunk_images,
        "train_stages": train_stages,
        "averaging": averaging,
        "self_distillation": self_distillation,
        "self_distillation_weight": self_distillation_weight,
        "self_distillation_teacher": self_distillation_teacher,
        "changes": changes,
        "refresh": refresh,
        "reembed_budget": budget,
        "query_fraction": query_fraction,
        "queries_per_category": queries_per_category,
        "max_forgetting": max_forgetting,
        "min_recall": min_recall,
        "min_refresh_efficiency": min_refresh_efficiency,
        "seed": seed,
        "device": device,
        "precision": precision,
    }
    with entered(context) as shell:
        _ingest(shell, folder, name, flags, dry_run=dry_run, restart=restart, events=tensorboard)


def _ingest(
    shell: Shell,
    folder: Path,
    name: str | None,
    flags: dict[str, Any],
    *,
    dry_run: bool,
    restart: bool,
    events: Path | None,
) -> None:
    from cli.event_files import event_log
    from cli.interruptions import told_how_to_go_on
    from cli.render.progress import progress_listener
    from cli.settings import (
        NOT_IN_AN_INGEST,
        merged_options,
        reembed_budget,
        refresh_mode,
        settings_of,
        task_settings,
        with_changes,
    )
    from cli.wiring import IngestRequest, open_workspace, run_dry, run_ingest

    chosen = merged_options(flags)
    opened = open_workspace(shell.folder)
    settings = task_settings(settings_of(opened), chosen)
    settings = with_changes(settings, chosen.get("changes", ()), NOT_IN_AN_INGEST)
    request = IngestRequest(folder, name, settings, refresh_mode(chosen), restart, reembed_budget(chosen))
    if dry_run:
        with progress_listener(shell) as listener:
            plan, estimate = run_dry(request, opened, listener)
        from cli.render.ingests import show_dry_run

        show_dry_run(shell, plan, estimate)
        refused = False
    else:
        with (
            progress_listener(shell) as listener,
            told_how_to_go_on(shell, opened),
            event_log(events, listener) as log,
        ):
            outcome = run_ingest(request, opened, listener, log)
            if log is not None:
                log.measured(outcome.result.report)
        from cli.render.ingests import show_ingest

        plan, refused = outcome.plan, not outcome.promoted
        shell.published = None if refused else outcome.result.generation.generation_id
        show_ingest(shell, outcome)
    if refused:
        shell.exit_code = REFUSED
    elif plan.quarantined:
        shell.exit_code = INCOMPLETE
