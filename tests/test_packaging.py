"""The package names belong together, and the distribution must never be uploaded."""

from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("cdml", "continual_dml", "streams", "storage", "cli")


def test_the_packages_share_one_parent_directory() -> None:
    parents = set()
    for package in PACKAGES:
        spec = find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        parents.add(Path(spec.origin).parent.parent)
    assert len(parents) == 1, f"one of {PACKAGES} comes from another distribution: {parents}"


def test_the_distribution_refuses_to_be_uploaded() -> None:
    assert "Private :: Do Not Upload" in distribution("cdml").metadata.get_all("Classifier", [])


def test_the_packages_say_that_they_are_typed() -> None:
    for package in PACKAGES:
        spec = find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        assert (Path(spec.origin).parent / "py.typed").is_file()
