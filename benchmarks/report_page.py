"""How large the page of a report gets, and how long it takes: what each publication pays for it.

Run ``python -m benchmarks.report_page``. Drawn characters are learned as a stream of tasks, with few steps
since the page does not depend on how well they are learned. The size is that of the published file. Pages of
the last generation are drawn again in this process; the first pays for loading and compiling the templates.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.documents import append_result
from cli.machine import environment
from cli.wiring import IngestRequest, create_workspace, page_painter, run_ingest
from continual_dml.ports import SilentListener
from continual_dml.settings import Settings
from storage.report_content import read_report_content
from storage.summary import read_report, read_report_page
from storage.workspace import Workspace
from streams.glyphs import GLYPH_TASKS, render_task

RESULTS = Path("benchmarks/results/report_page.jsonl")
CATEGORIES, ROUNDS = 20, 5


def main() -> None:
    """Learn the stream, draw its page, print and keep what that took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=10)
    parser.add_argument("--items", type=int, default=10_000, help="gallery images at the end, about")
    parser.add_argument("--keep", type=Path, help="write the page to this file as well")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = learned(Path(folder), arguments.tasks, arguments.items)
        page = read_report_page(workspace)
        report = read_report(workspace)
        seconds = drawing_times(workspace)
    if page is None:
        raise SystemExit("the last generation has no page: see the note above")
    result = {
        "environment": environment(),
        "tasks": arguments.tasks,
        "items": sum(part["items"] for part in report["parts"]),
        "queries": sum(one["measured"] for one in report["queries"].values()),
        "bytes": len(page),
        "seconds": {"first": round(seconds[0], 3), "later": round(statistics.median(seconds[1:]), 3)},
    }
    print(
        f"{result['items']} items, {result['tasks']} tasks: {result['bytes']:,} bytes, {result['seconds']} s"
    )
    append_result(arguments.results, result)
    if arguments.keep is not None:
        arguments.keep.write_bytes(page)


def learned(folder: Path, tasks: int, items: int) -> Workspace:
    """Return a workspace that has learned so many tasks, each with characters that no other one has."""
    settings = Settings()
    model = replace(
        settings.model, backbone="conv4", pretrained=False, embedding_dim=128, image_side_pixels=32
    )
    training = replace(settings.training, steps=60, flip=False, learning_rate=3e-3)
    settings = replace(settings, model=model, training=training)
    workspace = create_workspace(folder / "workspace", settings, None, "none")
    # A fifth of each category is held out.
    samples = round(items / (tasks * CATEGORIES) / (1 - settings.streams.query_fraction))
    for task in drawn_tasks(folder, tasks, samples):
        print(f"learning {task.name}", flush=True)
        run_ingest(IngestRequest(task, None, settings, "auto"), workspace, SilentListener())
    return workspace


def drawn_tasks(folder: Path, tasks: int, samples: int) -> list[Path]:
    """Draw as many alphabets as are needed, and deal their characters to task folders."""
    dealt: list[Path] = []
    for name in GLYPH_TASKS:
        if len(dealt) == tasks:
            break
        whole = folder / "drawn" / name
        most = (tasks - len(dealt)) * CATEGORIES
        render_task(name, whole, min(most, len(GLYPH_TASKS[name])), samples, side_pixels=48)
        categories = sorted(path for path in whole.iterdir() if path.is_dir())
        for number in range(min(len(categories) // CATEGORIES, tasks - len(dealt))):
            task = folder / f"{name}-{number + 1}"
            task.mkdir()
            for category in categories[number * CATEGORIES : (number + 1) * CATEGORIES]:
                category.rename(task / category.name)
            dealt.append(task)
    return dealt


def drawing_times(workspace: Workspace) -> list[float]:
    """Return how many seconds each of some pages took, all that it shows read from the disk."""
    found = []
    for _ in range(1 + ROUNDS):
        begin = time.perf_counter()
        page_painter(workspace.settings).paint(read_report_content(workspace))
        found.append(time.perf_counter() - begin)
    return found


if __name__ == "__main__":
    main()
