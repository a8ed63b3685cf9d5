"""Stanford Cars, CARS-196 (Krause, Stark, Deng, Fei-Fei 2013)."""

from __future__ import annotations

from pathlib import Path

from continual_dml.errors import StreamError
from continual_dml.settings import StreamSettings
from streams.folder_scan import FoundFile
from streams.named.matlab_files import read_matlab
from streams.named.protocols import within_class_split, zero_shot_halves
from streams.named.stream_files import StreamFiles, undivided
from streams.named.text_lists import inside, rows, whole_number

_ALL_IN_ONE = "cars_annos.mat"
_TABLE = "cars_annos.csv"
_DEVKIT = {"cars_train": "cars_train_annos.mat", "cars_test": "cars_test_annos_withlabels.mat"}


def zero_shot(root: Path, limits: StreamSettings) -> StreamFiles:
    """Return classes 1-98 to train on and 99-196 as unseen.

    Raises:
        StreamError: another layout.
    """
    del limits  # nothing is walked
    return zero_shot_halves(_cars(root))


def incremental(root: Path, limits: StreamSettings) -> StreamFiles:
    """Return all classes, in their order, with the split within each class.

    Raises:
        StreamError: another layout.
    """
    del limits  # nothing is walked
    return undivided(within_class_split(_cars(root)), keeps_order=True)


def _cars(root: Path) -> list[FoundFile]:
    """Return all images by class id, then in the order of their list."""
    if (root / _TABLE).is_file():
        listed = _table(root)
    elif (root / _ALL_IN_ONE).is_file():
        listed = _annotations(root / _ALL_IN_ONE, root, "relative_im_path")
    else:
        listed = _from_devkit(root)
    files = [(number, FoundFile(path, f"{number:03d}", None)) for number, path in listed]
    return [file for _, file in sorted(files, key=lambda item: item[0])]


def _table(root: Path) -> list[tuple[int, str]]:
    """Read ``cars_annos.csv``: a header, then ``path,class`` with classes from 1."""
    path = root / _TABLE
    return [
        (whole_number(number, path), inside(root, image))
        for image, number, *_ in rows(path, 2, separator=",", skip=1)
    ]


def _from_devkit(root: Path) -> list[tuple[int, str]]:
    listed: list[tuple[int, str]] = []
    for images, name in _DEVKIT.items():
        beside, in_devkit = root / name, root / "devkit" / name
        if not beside.is_file() and not in_devkit.is_file():
            raise StreamError(f"there is no {_ALL_IN_ONE}, {_TABLE} or devkit/{name} in {root}")
        listed += _annotations(beside if beside.is_file() else in_devkit, root / images, "fname")
    return listed


def _annotations(path: Path, folder: Path, name_field: str) -> list[tuple[int, str]]:
    (annotations,) = read_matlab(path, "annotations")
    known = annotations.dtype.names or ()
    if "class" not in known or name_field not in known:
        raise StreamError(f"{path}: its annotations have no fields 'class' and '{name_field}'")
    entries = annotations.reshape(-1)  # a single annotation comes without an axis
    return [(int(entry["class"]), inside(folder, str(entry[name_field]))) for entry in entries]
