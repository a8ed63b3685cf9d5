"""Every setting with the value that holds for a workspace, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.option_table import ALWAYS, BY_NAME, NEW, OPTIONS, TASK
from cli.settings import task_settings, workspace_settings
from cli.sources import UserFile, read_user_file, read_variables
from continual_dml.settings import Settings
from continual_dml.settings.layers import laid_over
from storage.catalog.address import redacted
from storage.workspace_file import StorageSettings, WorkspaceFile

if TYPE_CHECKING:
    from cli.shell import Shell
    from storage.workspace import Workspace

FLAG, VARIABLE, WORKSPACE, USER, DEFAULT = "flag", "variable", "workspace", "user", "default"
_DATABASE = "workspace.database_url"
_WEIGHTS_DECIDE = {"model.pretrained": "weights"}
_SECRETS, _HIDDEN = ("token",), "(hidden)"
_USUAL = {"workspace": ".cdml", "offline": False, "no_progress": False, "refresh": "auto"}


@dataclass(frozen=True, slots=True)
class Effective:
    """A setting: its name (its path in ``cdml.toml`` where it has one), value, and origin.

    ``origin``: flag, variable, workspace (its ``cdml.toml``), user (the user's own file) or default;
    ``where``: the flag, the variable or the file.
    """

    name: str
    value: object
    origin: str
    where: str | None


@dataclass(frozen=True, slots=True)
class _Sources:
    """All that is said, from the strongest to the weakest."""

    flags: Mapping[str, Any]
    variables: Mapping[str, Any]
    workspace: Workspace | None
    own: UserFile

    def effective(self, name: str, value: object) -> Effective:
        """Say where the setting comes from whose option or place in ``cdml.toml`` has this ``name``."""
        option = _WEIGHTS_DECIDE.get(name, _OPTION_OF.get(name, name))
        known = BY_NAME.get(option)
        counts = known is not None and (known.counts != NEW or self.workspace is None)
        if option in self.flags:
            return Effective(name, value, FLAG, f"--{option.replace('_', '-')}")
        if known is not None and counts and option in self.variables:
            return Effective(name, value, VARIABLE, known.variable)
        if self.workspace is not None and self._in_workspace(self.workspace, name):
            return Effective(name, value, WORKSPACE, str(self.workspace.settings_file))
        if _has(self.own.sections, name) or (counts and option in self.own.options):
            return Effective(name, value, USER, str(self.own.path))
        return Effective(name, value, DEFAULT, None)

    @staticmethod
    def _in_workspace(workspace: Workspace, name: str) -> bool:
        return workspace.names_database if name == _DATABASE else _has(workspace.said, name)


_OPTION_OF = {option.place: option.name for option in OPTIONS if option.place is not None}


def effective_settings(flags: Shell, workspace: Workspace | None) -> list[Effective]:
    """Return every setting as a task would find it; without a workspace, as `cdml init` would make one.

    Args:
        flags: the shared options that were given as flags.
        workspace: an existing workspace.

    Raises:
        SettingsError: a variable, or a value of the user's file, that cannot be.
    """
    given = {"workspace": flags.workspace, "offline": flags.offline, "no_progress": flags.no_progress}
    chosen = {name: value for name, value in given.items() if value}
    own = read_user_file()
    sources = _Sources(chosen, read_variables(), workspace, own)
    said = laid_over(own.options, sources.variables)
    values = {**_USUAL, **said, **chosen, **{name: _HIDDEN for name in _SECRETS if name in said}}
    plain = [
        sources.effective(option.name, values.get(option.name))
        for option in OPTIONS
        if option.place is None and (option.counts in (ALWAYS, TASK) or workspace is None)
    ]
    return [*plain, *_kept(sources, said), *_nested(sources, _settings(sources, said))]


def _settings(sources: _Sources, said: Mapping[str, Any]) -> Settings:
    if sources.workspace is None:
        stored = WorkspaceFile(workspace_settings(said)).settings_over(sources.own.sections)
    else:
        stored = sources.workspace.settings_over(sources.own.sections)
    return task_settings(stored, sources.variables)


def _kept(sources: _Sources, said: Mapping[str, Any]) -> list[Effective]:
    """Return what a workspace keeps besides the settings of learning; no password is in it."""
    at, usual = sources.workspace, StorageSettings()
    url = said.get("database_url") if at is None else at.database_url
    values: dict[str, object] = {
        _DATABASE: None if url is None else redacted(url),
        "storage.keep_generations": said.get("keep_generations", usual.keep_generations),
        "storage.index": said.get("index", usual.index),
        "storage.write_vectors_up_to": usual.write_vectors_up_to,
    }
    if at is not None:
        values["storage.keep_generations"] = at.keep_generations
        values["storage.index"] = at.index_kind
        values["storage.write_vectors_up_to"] = at.write_vectors_up_to
    return [sources.effective(name, value) for name, value in values.items()]


def _nested(sources: _Sources, settings: Settings) -> list[Effective]:
    from dataclasses import asdict

    return [sources.effective(name, value) for name, value in _leaves(asdict(settings), "")]


def _leaves(values: Mapping[str, Any], path: str) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for name, value in values.items():
        at = f"{path}.{name}" if path else name
        found.extend(_leaves(value, at) if isinstance(value, Mapping) else [(at, value)])
    return found


def _has(values: Mapping[str, Any], path: str) -> bool:
    at: object = values
    for name in path.split("."):
        if not isinstance(at, Mapping) or name not in at:
            return False
        at = at[name]
    return True


def looked_for(folder: Path) -> list[tuple[str, Path]]:
    """Return which files are looked for, the strongest first."""
    from cli.sources import user_file_path
    from storage.workspace_file import FILE_NAME

    return [(WORKSPACE, folder.absolute() / FILE_NAME), (USER, user_file_path())]
