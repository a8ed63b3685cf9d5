"""Where options come from besides flags: ``CDML_*`` variables and the user's own file. Nothing heavy."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs

from cli.option_table import BY_NAME, OPTIONS, PREFIX, Kind, nested
from continual_dml.errors import SettingsError, UnknownChoice
from continual_dml.settings import Settings
from continual_dml.settings.layers import laid_over

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOR_TESTS = f"{PREFIX}TEST_"
"""Variables of the tests and of nothing else."""
USER_SECTIONS = ("training", "streams", "evaluation", "gate")
"""What the user's file may say of every workspace; the model and the storage belong to one."""
_SWITCHES = {
    "yes": True,
    "no": False,
    "true": True,
    "false": False,
    "on": True,
    "off": False,
    "1": True,
    "0": False,
}
_WORDS = {int: "a whole number", float: "a number", bool: "yes or no", str: "text"}


@dataclass(frozen=True, slots=True)
class UserFile:
    """The user's own file.

    Attributes:
        path: where it is, or would be.
        options: what it says, by option name.
        sections: what it says of tasks, nested as in ``cdml.toml``; options are among it.
    """

    path: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    sections: Mapping[str, Any] = field(default_factory=dict)


def read_variables() -> dict[str, Any]:
    """Return the ``CDML_*`` variables that are set, by option name; an empty one is not set.

    Raises:
        SettingsError: a value of the wrong kind, or a variable that is none. Those that begin with
            ``CDML_TEST_`` are the tests' own.
    """
    known = {option.variable: option for option in OPTIONS}
    found: dict[str, Any] = {}
    for variable, text in sorted(os.environ.items()):
        if not variable.startswith(PREFIX) or variable.startswith(FOR_TESTS):
            continue
        if variable not in known:
            raise SettingsError(_unknown(variable, [option.name.upper() for option in OPTIONS]))
        if not text:
            continue
        option = known[variable]
        try:
            found[option.name] = _READERS[option.kind](text.strip())
        except (KeyError, ValueError) as error:
            raise SettingsError(
                f"{variable}={text!r}: this is not {_WORDS[option.kind]}; correct or unset it"
            ) from error
    return found


def _unknown(variable: str, names: Sequence[str]) -> str:
    import difflib

    close = difflib.get_close_matches(variable.removeprefix(PREFIX), names, n=1)
    hint = f"did you mean {PREFIX}{close[0]}?" if close else "correct or unset it, see docs/configuration.md"
    return f"unknown environment variable {variable}: {hint}"


def user_file_path() -> Path:
    """Return where the user's own file is looked for (XDG: ``~/.config/cdml/config.toml``)."""
    return platformdirs.user_config_path("cdml", appauthor=False) / "config.toml"


def read_user_file() -> UserFile:
    """Return what the user's own file says; nothing where there is none.

    Raises:
        SettingsError: it cannot be read, or says what cannot be; the message names the file.
    """
    path = user_file_path()
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return UserFile(path)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"cannot read {path}: {error}; repair the file or move it away") from error
    try:
        return _checked(path, document)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error


def _checked(path: Path, document: Mapping[str, Any]) -> UserFile:
    personal = {option.name for option in OPTIONS if option.personal}
    options: dict[str, Any] = {}
    sections: dict[str, Any] = {}
    for name, value in document.items():
        if name in USER_SECTIONS:
            sections[name] = value
        elif name in personal:
            options[name] = _of_kind(name, value, BY_NAME[name].kind)
        elif name in BY_NAME:
            raise SettingsError(
                f"{name} cannot stand here: give it as a flag, or as {BY_NAME[name].variable}"
            )
        else:
            raise UnknownChoice("setting", name, [*personal, *USER_SECTIONS])
    flat = {name: value for name, value in nested(options).items() if name in USER_SECTIONS}
    Settings.from_dict(sections)
    whole = laid_over(sections, flat)
    Settings.from_dict(whole)
    return UserFile(path, options, whole)


def _of_kind(name: str, value: object, kind: Kind) -> object:
    right = isinstance(value, kind) or (kind is float and isinstance(value, int))
    if not right or (isinstance(value, bool) and kind is not bool):
        wanted = {bool: "true or false", str: "text, in quotes"}.get(kind, _WORDS[kind])
        raise SettingsError(f"{name} = {value!r}: this is not {wanted}")
    return value


def _switch(text: str) -> bool:
    return _SWITCHES[text.lower()]


_READERS: Mapping[Kind, Callable[[str], Any]] = {str: str, int: int, float: float, bool: _switch}
