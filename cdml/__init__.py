"""Image retrieval that keeps learning, from Python: one name to import.

::

    import cdml

    workspace = cdml.Workspace.create("animals", weights="imagenet")
    workspace.ingest_task("photos/2026-spring")
    answer = workspace.query("some.jpg", k=5)
    print(answer.category, answer.confidence)

Everything here calls the functions that the command line calls, on the same workspaces. Nothing prints:
what goes on is told to a listener, or to the logger ``cdml``. Every error is a :class:`CdmlError`, as
:mod:`continual_dml.errors` draws them.

For one's own PyTorch code there are :class:`cdml.Embedder`, ``cdml.losses``, ``cdml.miners``,
``cdml.distillation``, ``cdml.memory`` and ``cdml.metrics``; for users of Avalanche, ``cdml.avalanche``. They
are imported when they are used first: ``import cdml`` alone imports no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from cdml.answers import Answer, Neighbour
from cdml.reports import Report
from cdml.results import AddResult, FolderPlan, IngestResult, RefreshResult, TaskEstimate
from cdml.searching import Searcher
from cdml.workspace import Workspace
from continual_dml import __version__
from continual_dml.errors import (
    AlreadyIngested,
    CatalogError,
    CdmlError,
    EmptyTask,
    GalleryError,
    NotFiniteLoss,
    SettingsError,
    StreamError,
    TrainingError,
    UnknownChoice,
    UnknownItem,
    UnreadableImage,
    WorkspaceError,
    WorkspaceLocked,
)
from continual_dml.ports import ProgressListener
from continual_dml.settings import (
    EvaluationSettings,
    GateSettings,
    ModelSettings,
    RefreshBudget,
    Settings,
    StreamSettings,
    TrainingSettings,
)

if TYPE_CHECKING:
    from cdml import avalanche, distillation, losses, memory, metrics, miners
    from cdml.embedder import Embedder

__all__ = [
    "AddResult",
    "AlreadyIngested",
    "Answer",
    "CatalogError",
    "CdmlError",
    "Embedder",
    "EmptyTask",
    "EvaluationSettings",
    "FolderPlan",
    "GalleryError",
    "GateSettings",
    "IngestResult",
    "ModelSettings",
    "Neighbour",
    "NotFiniteLoss",
    "ProgressListener",
    "RefreshBudget",
    "RefreshResult",
    "Report",
    "Searcher",
    "Settings",
    "SettingsError",
    "StreamError",
    "StreamSettings",
    "TaskEstimate",
    "TrainingError",
    "TrainingSettings",
    "UnknownChoice",
    "UnknownItem",
    "UnreadableImage",
    "Workspace",
    "WorkspaceError",
    "WorkspaceLocked",
    "__version__",
    "avalanche",
    "distillation",
    "losses",
    "memory",
    "metrics",
    "miners",
]

_FOR_ONES_OWN_CODE = ("avalanche", "distillation", "losses", "memory", "metrics", "miners")


def __getattr__(name: str) -> object:
    """Import what needs torch when it is asked for (PEP 562)."""
    if name == "Embedder":
        embedder: object = import_module("cdml.embedder").Embedder
        return embedder
    if name in _FOR_ONES_OWN_CODE:
        return import_module(f"cdml.{name}")
    raise AttributeError(f"module 'cdml' has no attribute '{name}'")


def __dir__() -> list[str]:
    """Name everything, imported already or not."""
    return sorted({*globals(), *__all__})
