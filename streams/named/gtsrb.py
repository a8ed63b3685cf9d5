"""German Traffic Sign Recognition Benchmark (Stallkamp, Schlipsing, Salmen, Igel 2011)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from continual_dml.errors import StreamError
from continual_dml.records import Role
from continual_dml.settings import StreamSettings
from streams.folder_scan import FoundFile, scan_folder
from streams.named.stream_files import StreamFiles, undivided
from streams.named.text_lists import inside, rows, whole_number

_TRAINING = ("Training", "Final_Training/Images")
_TEST = "Final_Test/Images"
_TEST_CLASSES = "GT-final_test.csv"
_ROOTS = ("", "GTSRB", "gtsrb/GTSRB")
_FORMATS = ("PPM", "PNG", "JPEG")


def own_split(root: Path, limits: StreamSettings) -> StreamFiles:
    """Return the training folders to train on and the final test to ask.

    Training images come as series of one sign, in order of their names; the images are PPM files.

    Raises:
        StreamError: another layout.
    """
    for name in _ROOTS:
        for training in _TRAINING:
            if (root / name / training).is_dir():
                files = [*_trained(root / name / training, limits), *_asked(root / name)]
                return replace(undivided(files), formats=_FORMATS)
    raise StreamError(f"there is no {_TRAINING[0]} or {_TRAINING[1]} in {root}")


def _trained(folder: Path, limits: StreamSettings) -> Iterator[FoundFile]:
    for file in scan_folder(folder, limits).files:
        if Path(file.path).suffix.lower() != ".csv":  # each folder has its own list of boxes
            number = whole_number(file.category, folder)
            yield FoundFile(file.path, f"{number:05d}", Role.GALLERY)


def _asked(folder: Path) -> Iterator[FoundFile]:
    """Read lines ``Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId`` below a header."""
    places = (folder / _TEST, folder, folder.parent)
    lists = [place / _TEST_CLASSES for place in places if (place / _TEST_CLASSES).is_file()]
    if not lists:
        raise StreamError(f"there is no {_TEST_CLASSES} in {folder}")
    for image, *_, number in rows(lists[0], 2, separator=";", skip=1):
        yield FoundFile(inside(folder / _TEST, image), f"{whole_number(number, lists[0]):05d}", Role.QUERY)
