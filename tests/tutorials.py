"""Tutorials as they are read: the commands in their ``console`` blocks, and what is shown below each."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

VARIES = "<!-- the answers depend on the images -->"
_BLOCK = re.compile(r"^```console\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"(?<![\w-])[-+]?\d[\d.,:]*(?:T[\d:+.]+)?")
_TIME = re.compile(r"(?:# h )?(?:# min )?# (?:s|ms)\b")
_SIZE = re.compile(r"# (?:B|KiB|MiB|GiB)\b")


@dataclass(frozen=True, slots=True)
class Step:
    """One command, what is shown below it, and whether that depends on the images."""

    command: str
    shown: tuple[str, ...]
    varies: bool

    @property
    def arguments(self) -> list[str]:
        """The command's words after ``cdml``.

        Raises:
            ValueError: it is another command.
        """
        program, *rest = shlex.split(self.command, comments=True)
        if program != "cdml":
            raise ValueError(f"a tutorial runs cdml alone, not {program}")
        return rest


def steps(page: str, instead: Mapping[str, str]) -> Iterator[Step]:
    """Yield the steps of a page, with some of its text replaced."""
    for text, other in instead.items():
        if text not in page:
            raise ValueError(f"the page does not hold {text!r}")
        page = page.replace(text, other)
    for block in _BLOCK.finditer(page):
        varies = page[: block.start()].rstrip().endswith(VARIES)
        for each in re.split(r"^\$ ", block[1], flags=re.MULTILINE)[1:]:
            command, *shown = each.rstrip("\n").split("\n")
            yield Step(command, tuple(shown), varies)


def as_shown(step: Step, out: str, err: str) -> bool:
    """Say whether a command printed what is shown below it, whatever the numbers, widths and places.

    Lines that stand on stderr may be anywhere among what is shown, or be left out.
    """
    notes = {_stable(line) for line in err.splitlines()}
    shown = [line for line in map(_stable, step.shown) if line not in notes]
    pattern = "".join(r"(?:.*\n)*?" if line == "..." else f"{_words(line)}\n" for line in shown)
    printed = "".join(f"{_stable(line)}\n" for line in out.splitlines())
    return re.fullmatch(pattern, printed) is not None


def _words(line: str) -> str:
    return ".*".join(map(re.escape, line.split("...")))


def _stable(line: str) -> str:
    """Return a line with numbers, times and sizes as signs, and one space for many."""
    text = re.sub(r"\s+", " ", _NUMBER.sub("#", line)).strip()
    return _SIZE.sub("<size>", _TIME.sub("<time>", text))
