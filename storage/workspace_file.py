"""``cdml.toml``: what was decided when the workspace was made."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from continual_dml.errors import SettingsError, UnknownChoice, WorkspaceError
from continual_dml.settings import Settings
from continual_dml.settings.checks import choice
from continual_dml.settings.layers import differing, laid_over
from continual_dml.settings.whole import build_section
from storage.catalog.address import is_postgresql
from storage.durable import FileEntry

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE_NAME = "cdml.toml"
FORMAT_VERSION = 1
PGVECTOR = "pgvector"
INDEX_KINDS = ("flat", "flat-f16", "hnsw", "ivf", "ivf-pq", PGVECTOR)
_HEADER = """\
# Made by `cdml init`. The model section must stay as it is: stored features depend on it.
# Lines that begin with # show defaults. Without the # a line says what holds in this workspace, whatever the
# user's own file says.

"""
_MODEL, _STORAGE = "model", "storage"
_OWN_KEYS = {
    "workspace": ("format_version", "database_url"),
    "initial_weights": ("size", "sha256", "note"),
}
_SECTIONS = (*_OWN_KEYS, _STORAGE, *(section.name for section in fields(Settings)))


@dataclass(frozen=True, slots=True)
class InitialWeights:
    """The network's initialisation, kept in the workspace: its file and where it came from."""

    entry: FileEntry
    note: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """How much of its history a workspace keeps; may be changed at any time.

    ``keep_generations``: how many generations of the live lineage stay on disk, the live one included.
    ``index``: how the next generation's vectors are searched, one of ``INDEX_KINDS``.
    ``write_vectors_up_to``: with more items a ``flat`` index computes vectors from features when it is
    searched: a refresh then writes next to nothing, and a single query takes longer.
    """

    keep_generations: int = 1
    index: str = INDEX_KINDS[0]
    write_vectors_up_to: int = 100_000

    def __post_init__(self) -> None:
        number = self.keep_generations
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= 10_000:
            raise SettingsError(f"keep_generations is {number!r}; it must be a whole number from 1 to 10000")
        choice("index", self.index, INDEX_KINDS)
        most = self.write_vectors_up_to
        if isinstance(most, bool) or not isinstance(most, int) or most < 0:
            raise SettingsError(f"write_vectors_up_to is {most!r}; it must be a whole number, 0 or more")


@dataclass(frozen=True, slots=True)
class WorkspaceFile:
    """The content of ``cdml.toml``. ``database_url`` is None for the workspace's own SQLite file.

    ``written``: what the file says of settings and storage, as nested plain values; None where there is none
    yet.
    """

    settings: Settings
    database_url: str | None = field(default=None, repr=False)
    initial_weights: InitialWeights | None = None
    storage: StorageSettings = field(default_factory=StorageSettings)
    written: Mapping[str, Any] | None = None

    @property
    def said(self) -> Mapping[str, Any]:
        """What the file fixes: a new one storage and model, and of the other settings what is unusual."""
        if self.written is not None:
            return self.written
        whole = self.settings.as_dict()
        unusual = differing(whole, Settings().as_dict())
        return {**unusual, _MODEL: whole[_MODEL], _STORAGE: asdict(self.storage)}

    def settings_over(self, beneath: Mapping[str, Any]) -> Settings:
        """Return the settings, with those of ``beneath`` where the file says nothing; never for the model.

        Raises:
            SettingsError: a value that cannot be.
        """
        below = {section: values for section, values in beneath.items() if section != _MODEL}
        above = {section: values for section, values in self.said.items() if section != _STORAGE}
        return Settings.from_dict(laid_over(below, above))

    def to_text(self) -> str:
        """Return the TOML document."""
        import tomli_w

        document: dict[str, Any] = {"workspace": {"format_version": FORMAT_VERSION}}
        if self.database_url is not None:
            document["workspace"]["database_url"] = self.database_url
        if self.initial_weights is not None:
            entry = self.initial_weights.entry
            note = {key: value for key, value in self.initial_weights.note.items() if value is not None}
            document["initial_weights"] = {"size": entry.size, "sha256": entry.sha256, "note": note}
        document[_STORAGE] = asdict(self.storage)
        lines = [_HEADER + tomli_w.dumps(document)]
        for section, values in self.settings.as_dict().items():
            lines.extend(_section_lines(section, values, self.said.get(section, {})))
        return "\n".join(lines)


def _section_lines(path: str, values: Mapping[str, Any], said: Mapping[str, Any]) -> list[str]:
    """Return a section of TOML: what is ``said`` as it is, the other ``values`` as comments."""
    import tomli_w

    lines, below = [f"[{path}]"], []
    for name, value in values.items():
        if isinstance(value, Mapping):
            below.extend(_section_lines(f"{path}.{name}", value, said.get(name, {})))
            continue
        text = tomli_w.dumps({name: said.get(name, value)}).splitlines()
        lines.extend(text if name in said else [f"# {line}" for line in text])
    return [*lines, "", *below]


def check_index_place(index: str, database_url: str | None) -> None:
    """Accept a kind of index beside a catalogue at this address; None stands for SQLite.

    Raises:
        SettingsError: the vectors are to lie in PostgreSQL, and the catalogue does not.
    """
    if index == PGVECTOR and not is_postgresql(database_url):
        raise SettingsError(
            "the index kind 'pgvector' keeps its vectors in PostgreSQL, and the catalogue is to be SQLite: "
            "give --database-url postgresql+psycopg://user@host/name, or choose another --index"
        )


def read(path: Path) -> WorkspaceFile:
    """Read ``cdml.toml``.

    Raises:
        WorkspaceError: it cannot be read or is damaged.
        SettingsError: a value in it cannot be.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise WorkspaceError(f"cannot read {path}: {error}; repair the file or restore a backup") from error
    try:
        own, weights = document["workspace"], document.get("initial_weights")
        version, url = own["format_version"], own.get("database_url")
        entry = None if weights is None else FileEntry(int(weights["size"]), str(weights["sha256"]))
        note = {} if weights is None else dict(weights.get("note", {}))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise WorkspaceError(f"{path} is no cdml workspace file ({error}): restore a backup") from error
    if version != FORMAT_VERSION:
        raise WorkspaceError(
            f"{path} has format {version}, this cdml knows {FORMAT_VERSION}: use another cdml"
        )
    try:
        _check_names(document)
        said = {name: values for name, values in document.items() if name not in _OWN_KEYS}
        settings = Settings.from_dict({name: values for name, values in said.items() if name != _STORAGE})
        storage = build_section(StorageSettings, _STORAGE, said.get(_STORAGE, {}))
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error
    weights_kept = None if entry is None else InitialWeights(entry, note)
    return WorkspaceFile(settings, url, weights_kept, storage, said)


def _check_names(document: Mapping[str, Any]) -> None:
    """Raise UnknownChoice for a section, or a key of those that are no settings, that cannot be."""
    for section in document:
        if section not in _SECTIONS:
            raise UnknownChoice("section", section, _SECTIONS)
    for section, known in _OWN_KEYS.items():
        for key in document.get(section, {}):
            if key not in known:
                raise UnknownChoice(f"setting in [{section}]", key, known)
