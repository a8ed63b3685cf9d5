"""All of the package's writing to disk goes through one module, where flushing and errors are dealt with."""

from __future__ import annotations

import ast
from pathlib import Path

import storage

OF_A_PATH = {
    "write_bytes", "write_text", "rename", "unlink", "mkdir", "rmdir", "touch", "symlink_to", "hardlink_to",
    "chmod",
}  # fmt: skip
OF_OS = {
    "rename", "replace", "remove", "unlink", "mkdir", "makedirs", "rmdir", "removedirs", "link", "symlink",
    "truncate", "ftruncate", "write", "pwrite", "fsync", "fdatasync", "chmod",
}  # fmt: skip
FLAGS = {"O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND"}


def writes(source: str) -> list[str]:
    """Return what in a module changes a disk by itself."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in FLAGS:
            found.append(node.attr)
        if not isinstance(node, ast.Call):
            continue
        function, owner = node.func, ""
        if isinstance(function, ast.Attribute):
            name = function.attr
            owner = function.value.id if isinstance(function.value, ast.Name) else ""
        else:
            name = function.id if isinstance(function, ast.Name) else ""
        modes = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant)]
        opened = name == "open" and any(isinstance(mode, str) and set("wax+") & set(mode) for mode in modes)
        known = name in OF_OS if owner == "os" else name in OF_A_PATH and owner != "durable"
        if opened or known or owner == "shutil":
            found.append(f"{owner}.{name}")
    return found


def test_no_other_module_of_the_store_writes():
    root = Path(storage.__file__).parent
    found = {str(path.relative_to(root)): writes(path.read_text()) for path in root.rglob("*.py")}
    assert found.pop("durable.py") != []
    assert {name: calls for name, calls in found.items() if calls} == {}


def test_the_rule_sees_each_way_to_write():
    for line in (
        "path.write_bytes(b'')",
        "(folder / 'name').mkdir()",
        "os.replace(a, b)",
        "os.open(path, os.O_RDWR)",
        "open('name', 'w')",
        "path.open('ab')",
        "shutil.rmtree(path)",
    ):
        assert writes(line) != [], line
    for line in (
        "path.open('rb')",
        "durable.rename(a, b)",
        "text.replace('a', 'b')",
        "os.open(p, os.O_RDONLY)",
    ):
        assert writes(line) == [], line
