"""Traces the calls to the system that change a disk, and has the Nth of one kind fail or kill."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

CHANGING = ("write", "pwrite64", "fsync", "fdatasync", "rename", "link", "linkat", "mkdir", "rmdir",
            "unlink", "unlinkat", "ftruncate")  # fmt: skip
FAULTS = {"KILL": "signal=KILL", "EIO": "error=EIO", "ENOSPC": "error=ENOSPC"}
_TEXT = r'"((?:[^"\\]|\\.)*)"'


@dataclass(frozen=True, slots=True)
class Call:
    """One successful call: its name, its arguments as strace prints them, and what it returned."""

    name: str
    arguments: str
    returned: str

    @property
    def texts(self) -> list[bytes]:
        """Its quoted arguments."""
        return [unescaped(text) for text in re.findall(_TEXT, self.arguments)]

    @property
    def file(self) -> Path:
        """The path of its first descriptor, which strace shows in angle brackets."""
        return _in_brackets(self.arguments)

    @property
    def opened(self) -> Path:
        """The path of the descriptor that it returned."""
        return _in_brackets(self.returned)


@dataclass(frozen=True, slots=True)
class Fault:
    """The ``nth`` call of this name is killed or fails."""

    call: str
    kind: str
    nth: int

    def options(self) -> list[str]:
        """Return what strace needs for it."""
        return ["-o", "/dev/null", "-e", f"trace={self.call}", "-e",
                f"inject={self.call}:{FAULTS[self.kind]}:when={self.nth}"]  # fmt: skip


def available() -> bool:
    """Whether there is an strace here."""
    return shutil.which("strace") is not None


def tracing(log: Path) -> list[str]:
    """Return the options that write every call that matters, whole, to ``log``."""
    chosen = ",".join((*CHANGING, "openat"))
    return ["-y", "-xx", "-s", "100000000", "-o", str(log), "-e", f"trace={chosen}"]


def read_log(log: Path) -> list[Call]:
    """Return the successful calls in order; the traced program has one thread that writes."""
    calls = []
    for line in log.read_text().splitlines():
        found = re.match(r"\d+ +(\w+)\((.*)\) += (\d.*)$", line)
        if found:
            calls.append(Call(*found.groups()))
        elif "unfinished" in line or "resumed" in line:
            raise RuntimeError(f"two threads write at once: {line[:200]}")
    return calls


def points(calls: list[Call], kinds: tuple[str, ...] = tuple(FAULTS)) -> list[Fault]:
    """Return every place where one of ``kinds`` can strike."""
    counted = Counter(call.name for call in calls if call.name in CHANGING)
    return [Fault(name, kind, nth) for name, count in counted.items() for kind in kinds
            for nth in range(1, count + 1)]  # fmt: skip


def unescaped(text: str) -> bytes:
    r"""Return the bytes of what ``strace -xx`` prints as ``\x61\x62``."""
    return bytes.fromhex(text.replace("\\x", ""))


def _in_brackets(text: str) -> Path:
    found = re.search(r"<((?:\\x[0-9a-f]{2})+)>", text)
    if found is None:
        raise RuntimeError(f"no path in {text[:200]}")
    return Path(unescaped(found.group(1)).decode())
