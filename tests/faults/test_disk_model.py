"""The disk that forgets keeps what was flushed, and may lose all else."""

from __future__ import annotations

import pytest

from tests.faults.disk_model import Disk
from tests.faults.system_calls import Call, Fault, points, unescaped


def escaped(text):
    return "".join(f"\\x{byte:02x}" for byte in str(text).encode())


class Recorded:
    """Calls as strace prints them."""

    def __init__(self, root):
        self.root = root

    def descriptor(self, name):
        return f"5<{escaped(self.root / name)}>"

    def opened(self, name, flags="O_WRONLY|O_CREAT"):
        return Call("openat", f'AT_FDCWD, "{escaped(self.root / name)}", {flags}', self.descriptor(name))

    def written(self, name, text):
        return Call("write", f'{self.descriptor(name)}, "{escaped(text)}", {len(text)}', str(len(text)))

    def written_at(self, name, text, offset):
        arguments = f'{self.descriptor(name)}, "{escaped(text)}", {len(text)}, {offset}'
        return Call("pwrite64", arguments, str(len(text)))

    def cut(self, name, size):
        return Call("ftruncate", f"{self.descriptor(name)}, {size}", "0")

    def flushed(self, name):
        return Call("fsync", self.descriptor(name), "0")

    def two(self, call, source, target):
        return Call(call, f'"{escaped(self.root / source)}", "{escaped(self.root / target)}"', "0")

    def one(self, call, name):
        return Call(call, f'"{escaped(self.root / name)}"', "0")


@pytest.fixture
def calls(tmp_path):
    (tmp_path / "disk").mkdir()
    return Recorded(tmp_path / "disk")


def states(calls, *happened):
    disk = Disk(calls.root)
    assert all(disk.apply(call) for call in happened)
    return dict(disk.states())


def test_what_nobody_flushed_may_be_gone_or_empty_or_there(calls):
    found = states(calls, calls.opened("a"), calls.written("a", "text"))
    assert found["only what was flushed"] == {}
    assert found["names, no content"] == {"a": b""}
    assert found["names, last write torn"] == {"a": b"te"}
    assert found["everything"] == {"a": b"text"}


def test_content_needs_a_flush_of_the_file_and_its_name_one_of_the_directory(calls):
    written = calls.opened("a"), calls.written("a", "text"), calls.flushed("a")
    assert states(calls, *written)["only what was flushed"] == {}
    assert states(calls, *written, calls.flushed(""))["only what was flushed"] == {"a": b"text"}


def test_of_two_writes_since_the_last_flush_either_may_survive_alone(calls):
    (calls.root / "a").write_bytes(b"....")
    changed = calls.written_at("a", "A", 0), calls.written_at("a", "B", 3)
    found = states(calls, *changed)
    assert found["only what was flushed"] == {"a": b"...."}
    assert found["names, every other write"] == {"a": b"...B"}
    assert found["everything"] == {"a": b"A..B"}


def test_a_rename_may_be_undone_until_the_directory_is_flushed(calls):
    (calls.root / "a").write_bytes(b"text")
    renamed = calls.two("rename", "a", "b")
    assert states(calls, renamed)["only what was flushed"] == {"a": b"text"}
    assert states(calls, renamed, calls.flushed(""))["only what was flushed"] == {"b": b"text"}


def test_links_cuts_and_removals_happen_too(calls):
    (calls.root / "a").write_bytes(b"text")
    (calls.root / "b").write_bytes(b"other")
    found = states(
        calls,
        calls.two("link", "a", "c"),
        calls.cut("b", 2),
        calls.one("unlink", "a"),
        calls.one("mkdir", "d"),
    )
    assert found["everything"] == {"b": b"ot", "c": b"text", "d": None}
    assert found["only what was flushed"] == {"a": b"text", "b": b"other"}


def test_calls_elsewhere_do_not_concern_the_disk(calls, tmp_path):
    disk = Disk(calls.root)
    elsewhere = Recorded(tmp_path)
    assert not disk.apply(elsewhere.opened("x"))
    assert not disk.apply(Call("write", f'1<{escaped("pipe:[5]")}>, "\\x61", 1', "1"))


def test_every_changing_call_is_a_point_once_for_each_kind(calls):
    found = points([calls.flushed("a"), calls.flushed("b"), calls.opened("a")], ("KILL", "EIO"))
    assert found == [Fault("fsync", "KILL", 1), Fault("fsync", "KILL", 2),
                     Fault("fsync", "EIO", 1), Fault("fsync", "EIO", 2)]  # fmt: skip
    assert unescaped("\\x61\\x0a") == b"a\n"
