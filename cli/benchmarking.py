"""Run a comparison of methods on a stream: what has not been run yet, then the tables."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.benchmark_request import BenchmarkRequest, planned_runs
from cli.benchmark_runs import asked, claimed, is_done, read_run, run_file
from cli.machine import environment
from continual_dml.errors import SettingsError
from continual_dml.process_memory import forget_peak_memory, peak_memory_bytes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from continual_dml.embedding.precision import Compute
    from continual_dml.ports import ProgressListener
    from continual_dml.records import LearningStream
    from continual_dml.settings import ModelSettings
    from continual_dml.strategies.first_tasks import FirstTasks
    from continual_dml.strategies.hooks import StepHooks
    from continual_dml.strategies.stream_learners import StreamLearner
    from continual_dml.strategies.variants import Variant
    from continual_dml.workflows.best_epoch import BestEpoch
    from continual_dml.workflows.learn_stream import StreamResult

    Weights = dict[str, NDArray[np.generic]] | None


def run_benchmark(request: BenchmarkRequest, listener: ProgressListener) -> Iterator[Path]:
    """Run what has not been run yet, yield each run's file as it is done, then the files of the comparison.

    Raises:
        UnknownChoice: a method, setting or stream that is not there.
        SettingsError: a network or weights that cannot be used, or a folder that holds runs with other
            settings.
        WorkspaceLocked: another benchmark writes to the same folder.
        CdmlError: the data cannot be read, or a result cannot be read or written.
    """
    from continual_dml.strategies.first_tasks import FirstTasks

    runs = planned_runs(request)
    with claimed(request.directory):
        left = [run for run in runs if not is_done(request, run)]
        if len(left) < len(runs):
            listener.note(f"{len(runs) - len(left)} of {len(runs)} runs are done already")
        weights = _weights(request, left)
        for seed, variants in groupby(left, lambda run: run.settings.training.seed):
            stream = _stream(request, seed, listener)
            first_tasks = FirstTasks()
            for variant in variants:
                listener.note(f"{variant.label}, seed {seed}: begins")
                pretrained = weights[variant.settings.model]
                document = _run(request, variant, stream, pretrained, first_tasks, listener)
                yield _written(run_file(request.directory, variant), document)
                listener.note(_headline(document))
        from cli.render.benchmark_files import write_comparison

        documents = [read_run(run_file(request.directory, run)) for run in runs]
        yield from write_comparison(request.directory, documents, request.baseline)


def _weights(request: BenchmarkRequest, runs: list[Variant]) -> Mapping[ModelSettings, Weights]:
    """Return the weights that each network starts from, once all of them could be built."""
    from cli.starting_weights import starting_weights

    found: dict[ModelSettings, Weights] = {}
    for model in dict.fromkeys(run.settings.model for run in runs):
        found[model] = starting_weights(model, request.weights if model.pretrained else "none").tensors
    return found


def _stream(request: BenchmarkRequest, seed: int, listener: ProgressListener) -> LearningStream:
    from streams.named.catalogue import open_stream
    from streams.named.validation import validation_stream

    stream = open_stream(
        request.stream,
        location=request.data,
        side_pixels=request.settings.model.stored_side_pixels,
        seed=seed,
        settings=request.settings.streams,
        listener=listener,
        sizes=request.sizes,
    )
    return validation_stream(stream, seed, contiguous=True) if request.validation else stream


def _run(
    request: BenchmarkRequest,
    variant: Variant,
    stream: LearningStream,
    pretrained: Weights,
    first_tasks: FirstTasks,
    listener: ProgressListener,
) -> dict[str, Any]:
    from continual_dml.embedding.freed_memory import freed_memory_kept
    from continual_dml.embedding.precision import choose_compute
    from continual_dml.workflows.learn_stream import learn_stream

    training = variant.settings.training
    compute = choose_compute(training.device, training.precision)
    forget_peak_memory()
    begin = time.perf_counter()
    best_epoch = _best_epoch(request, stream, compute)
    learner = _learner(request, variant, stream, pretrained, first_tasks, compute, listener, best_epoch)
    with freed_memory_kept():
        result = learn_stream(stream, learner, variant.settings, compute, listener)
    return {
        "schema_version": 1,
        "kind": "benchmark-run",
        "asked": asked(request, variant),
        "stream": describe_stream(stream, request.validation),
        "method": variant.method,
        "label": variant.label,
        "seed": training.seed,
        "replays": variant.replays,
        "settings": variant.settings.as_dict(),
        "environment": environment(),
        "peak_memory_bytes": peak_memory_bytes(),
        "best_test_epoch": None if best_epoch is None else best_epoch.best,
        **_figures(result, time.perf_counter() - begin),
    }


def _written(path: Path, document: dict[str, Any]) -> Path:
    from cli.render.benchmark_files import write_file

    return write_file(path, (json.dumps(document, allow_nan=False) + "\n").encode())


def _headline(document: dict[str, Any]) -> str:
    """Return one line about a finished run: its first readout, as the tables show it."""
    from cli.render.amounts import UNKNOWN, seconds, share
    from continual_dml.comparisons.summary import compare

    row = compare([document]).headlines()[0]
    measures = {"R@1": "recall_at_1", "forgetting": "forgetting", "unseen R@1": "unseen_recall_at_1"}
    figures = [f"{name} {share(row.mean(measure))}" for name, measure in measures.items()]
    known = [figure for figure in figures if not figure.endswith(f" {UNKNOWN}")]
    took = seconds(document["seconds"]["total"])
    return f"{document['label']}, seed {document['seed']}: {', '.join([*known, took])}"


def _figures(result: StreamResult, seconds: float) -> dict[str, Any]:
    return {
        "seconds": {"learn": result.learn_seconds, "measure": result.measure_seconds, "total": seconds},
        "bytes_kept": result.bytes_kept,
        "readouts": [readout.document() for readout in result.readouts],
        "members": [
            {"member": number, "average_recall_at_1": recall} for number, recall in enumerate(result.members)
        ],
        "loss_terms": result.loss_terms,
    }


def describe_stream(stream: LearningStream, validation: bool) -> dict[str, Any]:
    """Return the tasks of a stream and their sizes."""
    return {
        "name": stream.name,
        "validation": validation,
        "unseen_images": 0 if stream.unseen is None else len(stream.unseen),
        "tasks": [
            {
                "name": task.name,
                "categories": len(set(task.train.labels.tolist())),
                "train_images": len(task.train),
                "query_images": len(task.query),
            }
            for task in stream.tasks
        ],
    }


def _best_epoch(request: BenchmarkRequest, stream: LearningStream, compute: Compute) -> BestEpoch | None:
    if not request.best_test_epoch:
        return None
    if stream.unseen is None:
        raise SettingsError(
            f"--best-test-epoch: stream '{stream.name}' has no categories that no task trains on; "
            "leave the option out"
        )
    from continual_dml.workflows.best_epoch import BestEpoch

    return BestEpoch(stream.unseen, compute, stream.unseen_asks)


def _learner(
    request: BenchmarkRequest,
    variant: Variant,
    stream: LearningStream,
    pretrained: Weights,
    first_tasks: FirstTasks,
    compute: Compute,
    listener: ProgressListener,
    hooks: StepHooks | None,
) -> StreamLearner:
    from continual_dml.strategies.stream_learners import JointLearner, SequentialLearner
    from continual_dml.strategies.variants import PLUGIN_REFERENCES

    settings, first = variant.settings, request.first_steps
    if variant.method == "joint":
        return JointLearner(settings, len(stream.tasks), first, pretrained, compute, listener)
    if variant.method in (*PLUGIN_REFERENCES, "replay"):
        from continual_dml.strategies.avalanche_references import reference_learner

        return reference_learner(variant.method, settings, pretrained, compute, listener, first)
    return SequentialLearner(settings, first, pretrained, compute, listener, hooks, first_tasks)
