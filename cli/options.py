"""The options of the commands, each written once. None always stands for "not given"."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from cli import completion
from continual_dml.settings import (
    DEVICES,
    ENSEMBLES,
    FEATURE_MAPS,
    HEADS,
    LOSSES,
    METHODS,
    PRECISIONS,
    REFRESH_AGAIN,
    REFRESH_MODES,
    SELF_DISTILLATION_TEACHERS,
    SELF_DISTILLATIONS,
    TRIPLET_MINERS,
)


def completing(*names: str) -> Callable[[str], list[str]]:
    """Return what completes one of ``names``."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in names if name.startswith(incomplete)]

    return complete


def one_of(names: tuple[str, ...]) -> str:
    """Return what help says of a choice among ``names``."""
    return f"One of {', '.join(names)}."


_Text = str | None
_Whole = int | None
_Real = float | None

Backbone = Annotated[
    _Text,
    typer.Option(
        help="conv4, or any torchvision classification model. Default mobilenet_v2.",
        autocompletion=completing(
            "conv4", "mobilenet_v2", "resnet18", "resnet50", "squeezenet1_1", "vit_b_16"
        ),
    ),
]
Weights = Annotated[
    _Text,
    typer.Option(
        metavar="imagenet|none|FILE",
        help="Where the backbone starts: imagenet downloads torchvision's weights if they are not cached, "
        "none starts from scratch, FILE is safetensors or .pth. Default: imagenet, from the cache only.",
    ),
]
EmbeddingDim = Annotated[_Whole, typer.Option(help="Length of an embedding. Default 128.")]
ImageSide = Annotated[_Whole, typer.Option(help="Side in pixels that the network sees. Default 224.")]
DatabaseUrl = Annotated[
    _Text,
    typer.Option(help="Catalogue database, such as postgresql+psycopg://... Default: SQLite in the folder."),
]
Index = Annotated[
    str | None,
    typer.Option(
        metavar="KIND",
        help="How vectors are searched: flat (exact, default), flat-f16 (exact, reads half as much), hnsw, "
        "ivf or ivf-pq for large galleries, or pgvector in the PostgreSQL database itself; what is missed is "
        "measured at each publication. May be changed later in cdml.toml.",
        autocompletion=completion.index_kinds,
    ),
]
KeepGenerations = Annotated[
    _Whole,
    typer.Option(
        min=1,
        help="How many generations stay on disk, to go back to with `cdml rollback`. Default 1: the live one "
        "alone. May be changed later in cdml.toml.",
    ),
]
Flip = Annotated[
    bool | None,
    typer.Option("--flip/--no-flip", help="Train on mirrored images too. Default: --flip."),
]
FeatureMap = Annotated[
    _Text,
    typer.Option(
        help=f"Root of stored features. {one_of(FEATURE_MAPS)}", autocompletion=completing(*FEATURE_MAPS)
    ),
]
FreezeBatchNorm = Annotated[
    _Text,
    typer.Option(
        help="Keep batch norm as the weights have it. One of auto, yes, no; auto: with pretrained weights.",
        autocompletion=completing("auto", "yes", "no"),
    ),
]
Cohort = Annotated[
    _Whole, typer.Option(metavar="M", help="Networks that learn together and answer together. Default 1.")
]
CohortBackbones = Annotated[
    _Text,
    typer.Option(
        metavar="NAME,NAME,...",
        help="Backbone of each member of the cohort but the first. Default: the same as the first.",
    ),
]
CohortWeights = Annotated[
    _Text,
    typer.Option(
        metavar="imagenet|FILE,...",
        help="Where each member of the cohort but the first starts. Default: as --weights says.",
    ),
]
Ensemble = Annotated[
    _Text,
    typer.Option(
        help=f"How the members' embeddings become one. {one_of(ENSEMBLES)} concatenated (the default) is M "
        "times as long, pca is reduced to --embedding-dim.",
        autocompletion=completing(*ENSEMBLES),
    ),
]

TaskName = Annotated[
    _Text,
    typer.Option(
        "--name", help="Name of the task. Default: the folder's name.", autocompletion=completion.task_names
    ),
]
Method = Annotated[
    _Text, typer.Option(help=f"How to learn. {one_of(METHODS)}", autocompletion=completing(*METHODS))
]
Head = Annotated[
    _Text,
    typer.Option(help=f"Where embeddings come from. {one_of(HEADS)}", autocompletion=completing(*HEADS)),
]
Loss = Annotated[_Text, typer.Option(help=one_of(LOSSES), autocompletion=completing(*LOSSES))]
Miner = Annotated[
    _Text,
    typer.Option(
        help=f"Of the triplet loss. {one_of(TRIPLET_MINERS)}", autocompletion=completing(*TRIPLET_MINERS)
    ),
]
SelfDistillation = Annotated[
    _Text,
    typer.Option(
        help=f"Learn from what the network was a little earlier. {one_of(SELF_DISTILLATIONS)} psd is plain, "
        "obd with online batch diffusion. Default none.",
        autocompletion=completing(*SELF_DISTILLATIONS),
    ),
]
SelfDistillationWeight = Annotated[_Real, typer.Option(help="Weight that it reaches at the end of a task.")]
SelfDistillationTeacher = Annotated[
    _Text,
    typer.Option(
        help=f"{one_of(SELF_DISTILLATION_TEACHERS)} snapshot is an earlier copy of the network, memory what "
        "it said of the same images when it saw them last. Default snapshot.",
        autocompletion=completing(*SELF_DISTILLATION_TEACHERS),
    ),
]
BatchCategories = Annotated[_Whole, typer.Option(help="Categories in a batch. Default 15.")]
ImagesPerCategory = Annotated[_Whole, typer.Option(help="Images of each category in a batch. Default 4.")]
ChunkImages = Annotated[
    _Whole,
    typer.Option(
        metavar="N",
        help="Images that go through a network at once, for batches larger than memory (gradient caching): "
        "same result, slower. Default: the whole batch.",
    ),
]
TrainStages = Annotated[
    _Whole,
    typer.Option(
        metavar="N",
        help="Train only the last N stages of the network, between changes of resolution, and run what is "
        "below them once: faster. Default: all stages.",
    ),
]
Averaging = Annotated[
    bool | None,
    typer.Option(
        "--averaging/--no-averaging",
        help="Average weights over tasks, where the method does so. Default: --averaging.",
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.NAME=VALUE",
        help="Any other setting, such as objective.mutual=0, cohort.transfer=5 or "
        "self_distillation.diffusion=0.5; repeatable, wins over the other options.",
    ),
]
Epochs = Annotated[_Real, typer.Option(help="Length of training, in passes over the task's images.")]
Steps = Annotated[_Whole, typer.Option(help="Length of training, in optimisation steps.")]
Seed = Annotated[_Whole, typer.Option(help="Of everything random. Default 0.")]
Device = Annotated[
    _Text, typer.Option(help=f"Where to compute. {one_of(DEVICES)}", autocompletion=completing(*DEVICES))
]
Refresh = Annotated[
    _Text,
    typer.Option(
        help="What happens to earlier tasks' items. reembed opens their images, project carries stored "
        "features forward without opening one, keep does nothing, auto (the default) opens the images that "
        "are still there and projects the rest.",
        autocompletion=completing(*REFRESH_MODES),
    ),
]
ReembedBudget = Annotated[
    str | None,
    typer.Option(
        "--reembed-budget",
        metavar="N|TIME",
        help="How much --refresh auto may embed anew: a number of images, or a time such as 90s, 10m or 2h. "
        "The images that the drift maps know least about come first. Default: all that are there.",
    ),
]
RefreshAgain = Annotated[
    _Text,
    typer.Option(
        "--refresh",
        help="auto (the default) opens the images that are still there and projects the rest, reembed opens "
        "all of them, project opens none.",
        autocompletion=completing(*REFRESH_AGAIN),
    ),
]
LearningRate = Annotated[_Real, typer.Option(help="Of the backbone. Default 0.0001.")]
Precision = Annotated[
    _Text, typer.Option(help=f"Of convolutions. {one_of(PRECISIONS)}", autocompletion=completing(*PRECISIONS))
]
QueryFraction = Annotated[_Real, typer.Option(help="Share of each category held out to ask with.")]
QueriesPerCategory = Annotated[_Whole, typer.Option(help="At most so many queries of a category.")]
MaxForgetting = Annotated[
    _Real,
    typer.Option(
        help="Quality gate: how much Recall@1 of the earlier tasks may fall on average. Default 0.25; 1 "
        "switches this off."
    ),
]
MinRecall = Annotated[
    _Real,
    typer.Option(
        help="Quality gate: Recall@1 that the new task's own queries must reach within their task. Default: "
        "more than chance gives; 0 switches this off."
    ),
]
MinRefreshEfficiency = Annotated[
    _Real,
    typer.Option(
        help="Quality gate: share of what embedding anew would bring that carried-over vectors must bring. "
        "Default: nothing is asked for, as with 0."
    ),
]
Restart = Annotated[
    bool, typer.Option("--restart", help="Begin anew, even where an interrupted run of this could go on.")
]
TensorBoard = Annotated[
    Path | None,
    typer.Option(
        "--tensorboard",
        metavar="DIR",
        help="Write TensorBoard event files there: loss terms of each step, then Recall@K of each task and "
        "forgetting. Needs pip install 'cdml[tensorboard]'.",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Only say what would happen, and what it takes: time, memory, disk."),
]

Neighbours = Annotated[int, typer.Option("--neighbours", "-k", min=1, help="Neighbours per query image.")]
Sheet = Annotated[
    Path | None, typer.Option(metavar="FILE.png", help="Draw queries and neighbours into a picture.")
]
Where = Annotated[
    str | None,
    typer.Option(
        metavar="FILTER",
        help="Search only these gallery images, as in \"category in ('owl', 'lark') and task = 'birds'\"; "
        "columns: category, task, path, id.",
    ),
]
Cold = Annotated[
    bool, typer.Option("--cold", help="Load the model here, even where a server of this workspace runs.")
]
NoThreshold = Annotated[
    bool,
    typer.Option(
        "--no-threshold", help="Show the nearest images of every query, also where none is near enough."
    ),
]
