"""What `import cdml` gives: these names, quickly, each documented and typed."""

import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import cdml

MODULES = ("avalanche", "distillation", "losses", "memory", "metrics", "miners")
ERRORS = (
    "AlreadyIngested",
    "CatalogError",
    "CdmlError",
    "EmptyTask",
    "GalleryError",
    "NotFiniteLoss",
    "SettingsError",
    "StreamError",
    "TrainingError",
    "UnknownChoice",
    "UnknownItem",
    "UnreadableImage",
    "WorkspaceError",
    "WorkspaceLocked",
)
RESULTS = (
    *("AddResult", "Answer", "FolderPlan", "IngestResult", "Neighbour", "RefreshResult", "Report"),
    "TaskEstimate",
)
SETTINGS = (
    *("EvaluationSettings", "GateSettings", "ModelSettings", "RefreshBudget", "Settings", "StreamSettings"),
    "TrainingSettings",
)
MAIN = ("Embedder", "ProgressListener", "Searcher", "Workspace", "__version__")


def test_the_public_names_are_these() -> None:
    assert sorted(cdml.__all__) == sorted([*MAIN, *RESULTS, *SETTINGS, *ERRORS, *MODULES])


def test_every_public_name_is_there() -> None:
    for name in cdml.__all__:
        assert getattr(cdml, name) is not None
    assert set(cdml.__all__) <= set(dir(cdml))
    with pytest.raises(AttributeError, match="module 'cdml' has no attribute 'Workspaces'"):
        cdml.Workspaces  # noqa: B018


def test_every_error_is_a_cdml_error() -> None:
    for name in ERRORS:
        assert issubclass(getattr(cdml, name), cdml.CdmlError)


def test_importing_it_imports_nothing_heavy() -> None:
    heavy = {"torch", "torchvision", "numpy", "faiss", "sqlalchemy", "avalanche", "PIL", "pydantic", "typer"}
    program = f"import sys, cdml; print(*sorted(set(sys.modules) & {heavy!r}))"
    root = str(Path(cdml.__file__).parent.parent)
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.stdout.split() == []


def test_what_is_for_ones_own_code_is_what_the_package_itself_uses() -> None:
    from continual_dml.losses import LOSSES, make_loss
    from continual_dml.settings import TrainingSettings

    made = {
        type(make_loss(TrainingSettings(loss=name), import_module("torch").arange(3), 8)).__name__
        for name in LOSSES
    }
    assert made == set(cdml.losses.__all__)


def public() -> Iterator[tuple[str, object]]:
    """Yield the dotted name of everything public and the thing itself: names, and methods of our classes."""
    for name in cdml.__all__:
        thing = getattr(cdml, name)
        yield name, thing
        if inspect.ismodule(thing):
            yield from ((f"{name}.{inner}", getattr(thing, inner)) for inner in thing.__all__)
        elif inspect.isclass(thing):
            ours = [one for one in thing.__mro__ if one.__module__.startswith("cdml")]
            for inner, member in ((inner, member) for one in ours for inner, member in vars(one).items()):
                kinds = (property, classmethod, staticmethod)
                if not inner.startswith("_") and (inspect.isfunction(member) or isinstance(member, kinds)):
                    yield f"{name}.{inner}", member


def function_of(thing: object) -> object:
    if isinstance(thing, property):
        return thing.fget
    return thing.__func__ if isinstance(thing, (classmethod, staticmethod)) else thing


def test_everything_public_has_a_docstring_of_its_own() -> None:
    names = dict(public())
    assert {"Workspace.ingest_task", "Report.matrix", "losses.TripletLoss", "Searcher.query"} <= set(names)
    aliases = {"miners.TripletMiner", "avalanche.ImagesOf", "metrics.DEFINITIONS"}
    without = [name for name, thing in names.items() if not (function_of(thing).__doc__ or "").strip()]
    assert set(without) <= aliases


def test_every_public_function_says_the_type_of_all_that_goes_in_and_comes_out() -> None:
    for name, thing in public():
        function = function_of(thing)
        if not inspect.isfunction(function):
            continue
        signature = inspect.signature(function)
        assert signature.return_annotation is not inspect.Signature.empty, name
        for parameter in signature.parameters.values():
            if parameter.name not in ("self", "cls"):
                assert parameter.annotation is not inspect.Parameter.empty, f"{name}({parameter.name})"


def test_docstrings_of_methods_name_every_argument_or_say_where_they_are_named() -> None:
    elsewhere = ("arguments", "Arguments")
    silent = []
    for name, thing in public():
        function = function_of(thing)
        if not name.startswith(("Workspace.", "Searcher.", "Report.", "Embedder.")):
            continue
        text = function.__doc__ or ""
        given = [p for p in inspect.signature(function).parameters if p not in ("self", "cls")]
        if given and not any(word in text for word in elsewhere):
            silent += [f"{name}({p})" for p in given if f"{p}:" not in text and f"``{p}``" not in text]
    assert silent == []
