"""What every command does alike: shared options, one place for results, one line for errors."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from cli.option_table import PREFIX
from continual_dml.errors import CdmlError

DEFAULT_WORKSPACE = Path(".cdml")
INTERRUPTED = 130
INCOMPLETE = 3
NO_MATCH = 4
REFUSED = 5


@dataclass(slots=True)
class Shell:
    """The shared options of one call, and how it ends.

    Attributes:
        workspace: folder of the workspace; the default where none was named.
        as_json: whether stdout gets one JSON document.
        quiet: whether stderr gets errors only.
        verbose: whether stderr gets more notes: what was read, how long each stage took.
        no_progress: whether stderr gets notes, but no progress.
        yes: whether every question is answered with yes.
        offline: whether no connection to another machine may be opened.
        debug: whether errors show their traceback.
        exit_code: what the process ends with when nothing fails.
        published: the last generation that was published, for the message after an interrupt.
        kept: what an interrupt leaves, where it is no generation.
    """

    workspace: Path | None = None
    as_json: bool = False
    quiet: bool = False
    verbose: bool = False
    no_progress: bool = False
    yes: bool = False
    offline: bool = False
    debug: bool = False
    exit_code: int = 0
    published: int | None = None
    kept: str | None = None

    @property
    def folder(self) -> Path:
        """The workspace's folder."""
        return DEFAULT_WORKSPACE if self.workspace is None else self.workspace

    def emit(self, text: str) -> None:
        """Write ``text`` and a line end to stdout at once; a reader that has seen enough is no error.

        Raises:
            CdmlError: stdout cannot be written.
        """
        try:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
        except BrokenPipeError:
            _discard_stdout()
        except OSError as error:
            _discard_stdout()
            raise CdmlError(f"cannot write the result to stdout: {error.strerror or error}") from error

    def emit_line(self, text: str) -> None:
        """Write one line to stdout, whatever names of files the ``text`` holds; raises as :meth:`emit`."""
        self.emit(printable(text))

    def emit_json(self, document: object) -> None:
        """Write the one JSON document of this call."""
        import json

        self.emit(json.dumps(document, indent=2))

    def emit_bytes(self, content: bytes) -> None:
        """Write the content of a file to stdout as it is; raises as :meth:`emit`."""
        self.emit(content.decode("utf-8").removesuffix("\n"))

    def note(self, message: str) -> None:
        """Write one line for people to stderr, unless quiet."""
        if not self.quiet:
            print_error_line(message)

    def detail(self, message: str) -> None:
        """Write one line that only --verbose asks for to stderr."""
        if self.verbose:
            self.note(message)

    def confirmed(self, question: str) -> bool | None:
        """Ask a question with yes or no on the terminal; --yes answers it.

        Returns:
            The answer; None where nobody is asked: with --json, or where stdin or stderr is no terminal.

        Raises:
            KeyboardInterrupt: the question was left unanswered.
        """
        if self.yes:
            return True
        if self.as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
            return None
        try:
            return typer.confirm(printable(question), err=True)
        except typer.Abort as error:
            raise KeyboardInterrupt from error


@contextmanager
def entered(context: typer.Context) -> Iterator[Shell]:
    """Yield the shell of a command, as the shared options made it (``cli/shared_options.py``).

    Every error ends as one line on stderr and the documented exit code.
    """
    shell = chosen_shell(context)
    _settle_streams(shell)
    try:
        take_from_elsewhere(shell)
        if shell.offline:
            from cli.offline import go_offline

            go_offline()
        yield shell
    except CdmlError as error:
        shell.exit_code = error.exit_code
        _report(shell, f"error: {error}")
    except KeyboardInterrupt:
        shell.exit_code = INTERRUPTED
        done = "nothing" if shell.published is None else f"generation {shell.published}"
        _report(shell, f"interrupted: {shell.kept or f'{done} was published'}")
    except Exception as error:  # noqa: BLE001 - the last line of defence; --debug shows all of it
        shell.exit_code = 1
        hint = "" if shell.debug else "; run again with --debug for the traceback"
        _report(shell, f"error: unexpected {type(error).__name__}: {error}{hint}")
    if shell.exit_code:
        raise typer.Exit(shell.exit_code)


def chosen_shell(context: typer.Context) -> Shell:
    """Return a new shell with the shared options that were given as flags."""
    return replace(context.obj) if isinstance(context.obj, Shell) else Shell()


def take_from_elsewhere(shell: Shell) -> None:
    """Take the shared options that no flag gave from variables and the user's own file.

    Raises:
        SettingsError: a variable or the file that cannot be.
    """
    from cli.sources import read_user_file, read_variables

    variables, own = read_variables(), read_user_file()
    elsewhere = {**own.options, **variables}
    if shell.workspace is None and "workspace" in elsewhere:
        shell.workspace = Path(elsewhere["workspace"]).expanduser()
    shell.no_progress = shell.no_progress or elsewhere.get("no_progress", False)
    shell.offline = shell.offline or elsewhere.get("offline", False)
    if own.options or own.sections:
        shell.detail(f"read {own.path}")
    if variables:
        shell.detail(f"variables: {', '.join(f'{PREFIX}{name.upper()}' for name in variables)}")


def print_error_line(message: str) -> None:
    """Write one line to stderr, whatever the message holds."""
    sys.stderr.write(f"{printable(message)}\n")
    sys.stderr.flush()


def printable(text: str) -> str:
    r"""Return ``text`` with control characters spelled out: names of files must not steer a terminal.

    >>> printable("two" + chr(10) + "lines")
    'two\\nlines'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _report(shell: Shell, line: str) -> None:
    if shell.debug:
        import traceback

        for each in traceback.format_exc().splitlines():
            print_error_line(each)
    print_error_line(line)


def _settle_streams(shell: Shell) -> None:
    """Keep odd characters from raising, and the warnings of libraries from being taken for results."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    if not shell.debug and not sys.warnoptions:
        import warnings

        warnings.simplefilter("ignore")


def _discard_stdout() -> None:
    """Let later writes, also those at exit, go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
