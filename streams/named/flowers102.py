"""Oxford 102 Flowers (Nilsback, Zisserman 2008)."""

from __future__ import annotations

from pathlib import Path

from continual_dml.errors import StreamError
from continual_dml.records import Role
from continual_dml.settings import StreamSettings
from streams.folder_scan import FoundFile
from streams.named.matlab_files import read_matlab
from streams.named.stream_files import StreamFiles, undivided
from streams.named.text_lists import folder_with


def own_split(root: Path, limits: StreamSettings) -> StreamFiles:
    """Return all images; training and validation parts are trained on, the test part asks.

    Raises:
        StreamError: another layout.
    """
    del limits  # nothing is walked
    folder = folder_with(root, "imagelabels.mat", ("flowers-102",))
    (labels,) = read_matlab(folder / "imagelabels.mat", "labels")
    train, validation, test = read_matlab(folder / "setid.mat", "trnid", "valid", "tstid")
    queries = {int(number) for number in test.reshape(-1)}
    used = {int(number) for part in (train, validation) for number in part.reshape(-1)} | queries
    classes = labels.reshape(-1)
    if not used or min(used) < 1 or max(used) > len(classes):
        raise StreamError(f"{folder}: setid.mat names images that imagelabels.mat does not know")
    return undivided(
        FoundFile(
            str(folder / "jpg" / f"image_{number:05d}.jpg"),
            f"{int(classes[number - 1]):03d}",
            Role.QUERY if number in queries else Role.GALLERY,
        )
        for number in sorted(used)
    )
