"""No line of the packages reads a format that can run code."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("cdml", "continual_dml", "streams", "storage", "cli", "benchmarks")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
BENCHMARKS = ROOT / "benchmarks"
"""They read arrays and models that they wrote a moment before, and show how others read photos."""
RUNS_CODE = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "jsonpickle"}
CALLED = {"eval", "exec", "compile", "__import__"}


def offences(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = {alias.name.partition(".")[0] for alias in node.names}
            yield from names & RUNS_CODE
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in RUNS_CODE:
            yield str(node.module)
        elif isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "pickle_module"):
            yield node.arg
        elif isinstance(node, ast.Call):
            yield from _calls(node)


def _calls(node: ast.Call) -> Iterator[str]:
    called = ast.unparse(node.func)
    if called in CALLED:
        yield called
    if called in ("np.load", "numpy.load", "torch.jit.load", "torch.hub.load"):
        yield called
    if called == "torch.load" and not any(
        one.arg == "weights_only" and ast.unparse(one.value) == "True" for one in node.keywords
    ):
        yield "torch.load without weights_only=True"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_of_the_packages_unpickles(path: Path) -> None:
    allowed = {"np.load", "torch.jit.load"} if path.is_relative_to(BENCHMARKS) else set()
    assert set(offences(path.read_text(encoding="utf-8"))) <= allowed


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "np.load(path)",
        "f(path, allow_pickle=True)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "eval(text)",
    ],
)
def test_the_search_finds_what_it_is_for(line: str) -> None:
    assert list(offences(line))


def test_pictures_of_the_user_are_opened_in_one_place_and_weights_in_one() -> None:
    files = [path for path in FILES if not path.is_relative_to(BENCHMARKS)]
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in files}
    assert [name for name, text in texts.items() if "Image.open(" in text] == ["streams/image_decoding.py"]
    assert [name for name, text in texts.items() if "torch.load(" in text] == [
        "continual_dml/embedding/weights.py"
    ]
