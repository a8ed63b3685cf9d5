"""What a report says first: what was added, gained and forgotten, and what the gate said, a sentence each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cli.render.amounts import UNKNOWN, counted, share
from cli.render.gates import check_words
from cli.render.report_page.losses import task_losses


@dataclass(frozen=True, slots=True)
class Sentence:
    """A word for what it is about, its figure, and a sentence.

    ``name``: of the task that begins it; ``ending``: of the one that ends it. Names stand apart, since their
    direction may be another one.
    """

    about: str
    figure: str
    text: str
    name: str | None = None
    ending: str | None = None


def headline(report: Mapping[str, Any]) -> list[Sentence]:
    """Return the sentences that a report begins with."""
    return [_added(report), _gained(report), _forgotten(report), _gate(report)]


def since_measured(report: Mapping[str, Any]) -> list[str]:
    """Return what happened since the figures were measured, a sentence each."""
    told = []
    if "deleted_since" in report:
        gone = report["deleted_since"]
        gallery = counted(gone["gallery"], "gallery image", "gallery images")
        queries = counted(gone["query"], "query image", "query images")
        told.append(f"{gallery} and {queries} were deleted since this was measured.")
    if "added_since" in report:
        more = report["added_since"]
        images = counted(more["gallery"], "image was", "images were")
        categories = counted(more["new_categories"], "category", "categories")
        told.append(f"{images} added since this was measured, with {categories} new among them.")
    return told


def _added(report: Mapping[str, Any]) -> Sentence:
    task, items = report["tasks"][-1], sum(part["items"] for part in report["parts"])
    tasks = counted(len(report["tasks"]), "task", "tasks")
    text = (
        f"brought {counted(task['categories'], 'category', 'categories')} with "
        f"{counted(task['train_images'], 'image', 'images')} to search; {tasks} learned so far, and "
        f"{counted(items, 'image', 'images')} in the gallery."
    )
    return Sentence("Added", f"{task['train_images']:,}", text, task["name"])


def _gained(report: Mapping[str, Any]) -> Sentence:
    rows = report["recall_at_k"].get("1")
    newest = rows[-1][-1] if rows else None
    if not rows or newest is None:
        return Sentence("Gained", UNKNOWN, "Not known: the newest task has no held-out images.")
    average = share(report["summary"]["1"]["average"])
    text = (
        f"of the newest task's held-out images have an image of their own category nearest (Recall@1 "
        f"{share(newest)}, gallery of all tasks); on average over all tasks it is {average}."
    )
    return Sentence("Gained", _percent(newest), text)


def _forgotten(report: Mapping[str, Any]) -> Sentence:
    if len(report["tasks"]) < 2:
        return Sentence("Forgotten", UNKNOWN, "Nothing yet: before this task there was none.")
    forgetting = report["summary"].get("1", {}).get("forgetting")
    losses = [one for one in task_losses(report) if one.lost is not None]
    if forgetting is None or not losses:
        return Sentence("Forgotten", UNKNOWN, "Not known: no earlier task has held-out images left to ask.")
    most = max(losses, key=lambda one: one.lost or 0.0)
    if forgetting <= 0:
        return Sentence(
            "Forgotten",
            share(0.0),
            f"No loss on average: Recall@1 of earlier tasks changed by {-forgetting:+.3f}.",
        )
    text = (
        f"of Recall@1 lost by earlier tasks on average since their best; most of all, {share(most.lost)}, by "
        f"task {most.number}"
    )
    return Sentence("Forgotten", share(forgetting), text, ending=most.name)


def _gate(report: Mapping[str, Any]) -> Sentence:
    gate = report.get("gate")
    if gate is None:
        return Sentence("Quality gate", UNKNOWN, "There was none when this generation was published.")
    judged = [check_words(check) for check in gate["checks"] if check["value"] is not None]
    if gate["passed"]:
        held = f"All that it asks for holds: {'; '.join(judged)}." if judged else "Nothing could be judged."
        return Sentence("Quality gate", "passed", held)
    return Sentence("Quality gate", "refused", f"It kept this from going live by itself: {gate['refusal']}.")


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"
