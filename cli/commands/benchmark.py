"""``cdml benchmark``: compare methods on a stream of tasks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import completion, options
from cli.shell import Shell, entered, printable
from continual_dml.errors import SettingsError
from continual_dml.strategies.variants import COMPARED

if TYPE_CHECKING:
    from cli.benchmark_request import BenchmarkRequest

Stream = Annotated[
    str | None,
    typer.Argument(
        help="A stream by name (cdml benchmark --list), or a folder PATH/<task>/<category>/* or "
        "PATH/<category>/*.",
        autocompletion=completion.streams,
    ),
]
Methods = Annotated[
    str,
    typer.Option(
        help="Methods, separated by commas; each a name with changes of settings if wanted, for instance "
        f"mutual-distillation+objective.mutual=0. Names are {', '.join(COMPARED)}.",
        autocompletion=completion.methods,
    ),
]
Data = Annotated[Path | None, typer.Option(metavar="PATH", help="Folder or .zip of a named stream's data.")]
Seeds = Annotated[int, typer.Option(min=1, help="How many seeds; each deals out the classes anew.")]
Output = Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where results are written.")]
FirstSteps = Annotated[
    int | None, typer.Option(min=1, help="Optimisation steps of the first task. Default: as in later ones.")
]
Sizes = Annotated[
    str | None, typer.Option(metavar="N,N,...", help="Categories per task, in place of the stream's own.")
]
Validation = Annotated[
    bool,
    typer.Option(
        "--validation",
        help="Measure on training images that are held out, and on held-out training classes: for tuning.",
    ),
]
BestTestEpoch = Annotated[
    bool,
    typer.Option(
        "--best-test-epoch",
        help="Measure unseen categories after each pass too and show the best, as papers do: optimistic.",
    ),
]
Baseline = Annotated[str | None, typer.Option(help="Method that differences are taken to. Default: frozen.")]
List = Annotated[
    bool, typer.Option("--list", help="Only say which streams have a name, and how to get their data.")
]
DEFAULT_METHODS = "mutual-distillation,online-mutual-distillation,relation-distillation,finetune,frozen"


def benchmark(
    context: typer.Context,
    stream: Stream = None,
    methods: Methods = DEFAULT_METHODS,
    data: Data = None,
    seeds: Seeds = 3,
    output: Output = Path("cdml-benchmark"),
    backbone: options.Backbone = None,
    weights: options.Weights = None,
    embedding_dim: options.EmbeddingDim = None,
    image_side: options.ImageSide = None,
    feature_map: options.FeatureMap = None,
    freeze_batch_norm: options.FreezeBatchNorm = None,
    flip: options.Flip = None,
    loss: options.Loss = None,
    miner: options.Miner = None,
    steps: options.Steps = None,
    epochs: options.Epochs = None,
    first_steps: FirstSteps = None,
    learning_rate: options.LearningRate = None,
    batch_categories: options.BatchCategories = None,
    images_per_category: options.ImagesPerCategory = None,
    chunk_images: options.ChunkImages = None,
    train_stages: options.TrainStages = None,
    changes: options.Changes = None,
    sizes: Sizes = None,
    query_fraction: options.QueryFraction = None,
    queries_per_category: options.QueriesPerCategory = None,
    validation: Validation = False,
    best_test_epoch: BestTestEpoch = False,
    baseline: Baseline = None,
    device: options.Device = None,
    precision: options.Precision = None,
    list_streams: List = False,
) -> None:
    """Compare methods on a stream of tasks.

    Learns the stream once for each method and seed and measures both heads and every treatment of old items
    after each task. Each finished run is a file of its own: the same command goes on where an earlier one
    stopped. Writes tables, curves, CSV and JSON. Needs no workspace and changes none.

    Unless options say otherwise, photos are shown at 128 pixels, glyphs and omniglot at 32 pixels to conv4
    from scratch, at a learning rate of 0.003, without flips.
    """
    flags: dict[str, Any] = {
        "backbone": backbone,
        "weights": weights,
        "embedding_dim": embedding_dim,
        "image_side": image_side,
        "feature_map": feature_map,
        "freeze_batch_norm": freeze_batch_norm,
        "flip": flip,
        "loss": loss,
        "miner": miner,
        "steps": steps,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "batch_categories": batch_categories,
        "images_per_category": images_per_category,
        "chunk_images": chunk_images,
        "train_stages": train_stages,
        "changes": changes,
        "query_fraction": query_fraction,
        "queries_per_category": queries_per_category,
        "device": device,
        "precision": precision,
    }
    with entered(context) as shell:
        if list_streams:
            _list(shell, stream)
            return
        if stream is None:
            raise SettingsError("name a STREAM or a folder; cdml benchmark --list shows the streams")
        shell.kept = f"finished runs are kept in {output}, the same command goes on from there"
        from cli.benchmark_request import BenchmarkRequest
        from cli.settings import benchmark_options, benchmark_settings, numbers

        chosen = benchmark_options(flags)
        if shell.offline and "weights" in chosen:
            from cli.starting_weights import without_download

            chosen["weights"] = without_download(chosen["weights"])
        settings = benchmark_settings(stream, chosen)
        request = BenchmarkRequest(
            stream=stream,
            data=data,
            methods=tuple(name.strip() for name in methods.split(",") if name.strip()),
            seeds=seeds,
            directory=output,
            settings=settings,
            first_steps=first_steps,
            weights=chosen.get("weights", None if settings.model.pretrained else "none"),
            validation=validation,
            best_test_epoch=best_test_epoch,
            sizes=None if sizes is None else numbers("--sizes", sizes),
            baseline=baseline,
        )
        _compare(shell, request)


def _list(shell: Shell, stream: str | None) -> None:
    from cli.benchmark_request import stream_preset
    from cli.render.stream_lists import show_streams
    from streams.named.catalogue import STREAMS

    one = None if stream is None else stream_preset(stream)
    show_streams(shell, list(STREAMS.values()) if one is None else [one])


def _compare(shell: Shell, request: BenchmarkRequest) -> None:
    import json

    from cli.benchmarking import run_benchmark
    from cli.render.progress import progress_listener

    with progress_listener(shell) as listener:
        written = list(run_benchmark(request, listener))
    if shell.as_json:
        shell.emit_json(json.loads((request.directory / "summary.json").read_bytes()))
        return
    table = (request.directory / "table.md").read_text(encoding="utf-8").rstrip()
    shell.emit("\n".join(map(printable, table.split("\n"))))
    for path in written:
        shell.note(f"wrote {path}")
