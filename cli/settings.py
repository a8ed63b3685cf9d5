"""Settings from five places, the strongest first.

Flags, ``CDML_*`` variables, the workspace's ``cdml.toml``, the user's own file, defaults.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cli.option_table import NEW, OPTIONS, TASK, nested
from cli.sources import read_user_file, read_variables
from continual_dml.errors import SettingsError, UnknownChoice
from continual_dml.settings import DEVICES, NO_LIMIT, REFRESH_MODES, RefreshBudget, Settings
from continual_dml.settings.changes import parse_change, with_change
from continual_dml.settings.layers import laid_over

if TYPE_CHECKING:
    from storage.workspace import Workspace

NOT_IN_AN_INGEST = {
    "model": "the network stays as `cdml init` made it; make another workspace for another network"
}
NOT_IN_A_BENCHMARK = {
    "training.method": "use --methods",
    "training.seed": "use --seeds",
    "model.pretrained": "use --weights",
    "gate": "a comparison publishes nothing that a gate could keep back",
}
OF_THE_MACHINE = ("device", "precision")
"""What a comparison takes from the user's own file: the rest would make it another one on each machine."""
_DEFAULT_REFRESH = "auto"
_BUDGET = re.compile(r"(\d+(?:\.\d+)?(?=[smh])|\d+)([smh]?)")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def merged_options(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are set for an existing workspace; a flag for steps silences CDML_EPOCHS.

    Flags over variables over those of the user's own file that a workspace has no place for; the others are
    weaker than ``cdml.toml``: see :func:`settings_of`.

    Raises:
        SettingsError: a variable or the user's file that cannot be.
    """
    homeless = {option.name for option in OPTIONS if option.counts == TASK and option.place is None}
    return _merged(
        flags, {name: value for name, value in read_user_file().options.items() if name in homeless}
    )


def new_workspace_options(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a workspace that is made: flags over variables over the user's own file.

    Raises:
        SettingsError: a variable or the user's file that cannot be.
    """
    return _merged(flags, read_user_file().options)


def benchmark_options(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a comparison, of those that it has a flag for; raises as the others."""
    own = {name: value for name, value in read_user_file().options.items() if name in OF_THE_MACHINE}
    return {name: value for name, value in _merged(flags, own).items() if name in flags}


def _merged(flags: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in flags.items() if value is not None}
    return laid_over(laid_over(own, read_variables()), given)


def settings_of(workspace: Workspace) -> Settings:
    """Return the workspace's settings, with the user's own where ``cdml.toml`` says nothing.

    Raises:
        SettingsError: the user's file says what cannot be.
    """
    return workspace.settings_over(read_user_file().sections)


def task_settings(stored: Settings, options: Mapping[str, Any]) -> Settings:
    """Return the workspace's settings with the options of one ingest over them.

    Raises:
        SettingsError: a value that cannot work.
    """
    chosen = nested(options, [option for option in OPTIONS if option.counts == TASK])
    return Settings.from_dict(laid_over(stored.as_dict(), chosen))


def with_changes(settings: Settings, changes: Sequence[str], refused: Mapping[str, str]) -> Settings:
    """Return the settings with the changes that ``--set`` asks for.

    Args:
        settings: that the changes are made to.
        changes: each ``section.name=value``.
        refused: why a section, or one setting of it, cannot be changed here.

    Raises:
        SettingsError: a change that is none, is refused, or has a value that cannot work.
    """
    for text in changes:
        change = parse_change(text)
        if change is None:
            raise SettingsError(f"--set {text}: write section.name=value, for instance objective.mutual=0")
        reason = refused.get(change.section) or refused.get(f"{change.section}.{change.name}")
        if reason:
            raise SettingsError(f"--set {text}: {reason}")
        settings = with_change(settings, change)
    return settings


def refresh_mode(options: Mapping[str, Any], modes: Sequence[str] = REFRESH_MODES) -> str:
    """Return what to do with earlier tasks' items, one of ``modes``.

    Raises:
        UnknownChoice: no such mode.
    """
    mode = str(options.get("refresh", _DEFAULT_REFRESH))
    if mode not in modes:
        raise UnknownChoice("refresh", mode, modes)
    return mode


def reembed_budget(options: Mapping[str, Any]) -> RefreshBudget:
    """Return how much may be embedded anew.

    Raises:
        SettingsError: neither a number of images nor a time.

    >>> reembed_budget({"reembed_budget": "500"}).items, reembed_budget({"reembed_budget": "10m"}).seconds
    (500, 600.0)
    """
    text = options.get("reembed_budget")
    if text is None:
        return NO_LIMIT
    found = _BUDGET.fullmatch(str(text).strip())
    if found is None:
        raise SettingsError(
            f"--reembed-budget {text}: write a number of images such as 5000, or a time such as 90s or 10m"
        )
    amount, unit = float(found[1]), found[2]
    return RefreshBudget(seconds=amount * _SECONDS[unit]) if unit else RefreshBudget(items=int(amount))


def workspace_settings(options: Mapping[str, Any]) -> Settings:
    """Return the settings of a new workspace, from the options of ``cdml init``.

    Raises:
        SettingsError: a value that cannot work.
    """
    made = nested(options, [option for option in OPTIONS if option.counts == NEW])
    values = {section: dict(made.get(section, {})) for section in ("model", "training")}
    values["model"].setdefault("pretrained", options.get("weights") != "none")
    if "cohort_backbones" in options:
        values["model"]["cohort_backbones"] = listed("--cohort-backbones", options["cohort_backbones"])
    return Settings.from_dict(values)


_SMALL_PICTURES = {"glyphs", "omniglot"}


def benchmark_settings(stream: str, options: Mapping[str, Any]) -> Settings:
    """Return the settings of a comparison: as a new workspace's, with the options of an ingest over them.

    Streams of written characters have a small network from scratch as their default, and no flips, because a
    mirrored character is another one; photos are shown at 128 pixels. Recall is taken at the K that papers
    report for a named stream.

    Raises:
        SettingsError: a value that cannot work, or a change that is made another way.
    """
    from streams.named.catalogue import STREAMS

    small = stream in _SMALL_PICTURES
    own = {"backbone": "conv4", "weights": "none", "image_side": 32, "flip": False, "learning_rate": 3e-3}
    chosen = {**(own if small else {"image_side": 128}), **options}
    settings = task_settings(workspace_settings(chosen), chosen)
    if stream in STREAMS:
        evaluation = replace(settings.evaluation, recall_at=STREAMS[stream].recall_at)
        settings = replace(settings, evaluation=evaluation)
    return with_changes(settings, chosen.get("changes", ()), NOT_IN_A_BENCHMARK)


def listed(option: str, text: str) -> tuple[str, ...]:
    """Return texts written with commas between them.

    Raises:
        SettingsError: one of them is empty.
    """
    parts = tuple(part.strip() for part in text.split(","))
    if not all(parts):
        raise SettingsError(f"{option} '{text}': a name is missing; write names with commas between them")
    return parts


def numbers(option: str, text: str) -> tuple[int, ...]:
    """Return whole numbers written with commas between them.

    Raises:
        SettingsError: something else.
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise SettingsError(f"{option} {text}: write whole numbers with commas, such as 41,10,10") from error


def compute_device(options: Mapping[str, Any], settings: Settings | None = None) -> str:
    """Return where to compute: what the options say, else the settings.

    Raises:
        UnknownChoice: no such device.
    """
    device = str(options.get("device", (settings or Settings()).training.device))
    if device not in DEVICES:
        raise UnknownChoice("device", device, DEVICES)
    return device
