"""All streams by name, and the one function that opens any of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from continual_dml.errors import EmptyTask, StreamError, UnknownChoice
from continual_dml.ports import ProgressListener
from continual_dml.records import LearningStream
from continual_dml.settings import StreamSettings
from streams.named.arranging import arrange_tasks, hold_out
from streams.named.data_folders import opened, temporary_folder
from streams.named.folder_layouts import any_folder, without_wrappers
from streams.named.incremental_presets import INCREMENTAL_PRESETS
from streams.named.presets import StreamPreset, check_published_counts
from streams.named.reading import read_stream
from streams.named.stream_files import StreamFiles
from streams.named.zero_shot_presets import ZERO_SHOT_PRESETS

STREAMS: Mapping[str, StreamPreset] = {
    preset.name: preset for preset in (*INCREMENTAL_PRESETS, *ZERO_SHOT_PRESETS)
}


def open_stream(
    name: str,
    *,
    location: Path | None,
    side_pixels: int,
    seed: int,
    settings: StreamSettings,
    listener: ProgressListener,
    sizes: Sequence[int] | None = None,
    pixel_directory: Path | None = None,
) -> LearningStream:
    """Read a stream: one of ``STREAMS``, or any folder or .zip of images.

    A folder is ``PATH/<category>/*``, ``PATH/{train,test}/<category>/*``, or ``PATH/<task>/<category>/*``
    with one task per folder in order of their names. Given queries are all used; where the data give none,
    ``settings.query_fraction`` of each category is held out, ``settings.queries_per_category`` at most.

    Args:
        name: key of ``STREAMS``, else a path (write ``./grocery`` for a folder that has a stream's name).
        location: folder or .zip with the data of a named stream; ignored for a path and for drawn streams.
        side_pixels: side S of the stored squares.
        seed: of the class order and of the held-out queries. The published class-incremental protocols keep
            their class order, and their split, whatever the seed.
        settings: limits, and how queries are held out.
        listener: told about progress and about what is left out.
        sizes: categories per task, in place of the stream's own tasks: all its training categories are
            shuffled and dealt out, what is left over is not used, and the published counts are not checked.
            This is how a part of a data set is used.
        pixel_directory: where the squares rest in a file without a name, and archives are unpacked; None for
            memory and the system's temporary folder.

    Returns:
        The stream. Its squares lie in one array, of which the tasks show parts.

    Raises:
        UnknownChoice: neither a stream nor a path.
        StreamError: missing data, another layout, or other counts than published; it says what to get.
        EmptyTask: a task without usable images.
        SettingsError: ``sizes`` that the data cannot fill.
    """
    preset = STREAMS.get(name) or _folder_preset(name)
    data = location if name in STREAMS else Path(name)
    with _data_folder(preset, data, side_pixels, seed, settings, pixel_directory) as root:
        found = _found_files(preset, root, data, settings)
        tasks = arrange_tasks(found, asked_sizes=sizes, usual_sizes=preset.task_sizes, seed=seed)
        fraction = settings.query_fraction if preset.query_fraction is None else preset.query_fraction
        most = settings.queries_per_category
        tasks = tuple(
            replace(task, files=hold_out(task.files, fraction=fraction, most_per_category=most, seed=seed))
            for task in tasks
        )
        if sizes is None:
            check_published_counts(preset, tasks, found.unseen)
        return read_stream(
            preset.name,
            tasks,
            found,
            side_pixels=side_pixels,
            settings=settings,
            listener=listener,
            pixel_directory=pixel_directory,
        )


def _folder_preset(name: str) -> StreamPreset:
    path = Path(name)
    if not path.exists():
        if os.sep in name or path.suffix:
            raise StreamError(f"there is no folder or archive {name}; check the path")
        raise UnknownChoice("stream", name, STREAMS)
    return StreamPreset(
        name=path.resolve().stem if path.is_file() else path.resolve().name,
        description="a folder of images",
        protocol="half of the categories first, then four equal tasks; or one task per folder",
        how_to_get="put the images of each category into its own folder: PATH/<category>/*.jpg",
        find_files=any_folder,
    )


@contextmanager
def _data_folder(
    preset: StreamPreset,
    location: Path | None,
    side_pixels: int,
    seed: int,
    settings: StreamSettings,
    scratch: Path | None,
) -> Iterator[Path]:
    """Give the folder of the data, unpacked or drawn if need be."""
    if preset.render is not None:
        with temporary_folder(scratch) as folder:
            preset.render(folder, side_pixels, seed)
            yield folder
        return
    if location is None:
        raise StreamError(f"{preset.name}: say where the data lie; {preset.how_to_get}")
    if not location.exists():
        raise StreamError(f"{preset.name}: there is no {location}; {preset.how_to_get}")
    with opened(location, settings, scratch) as folder:
        from_archive = location.is_file()
        yield without_wrappers(folder) if from_archive and preset.find_files is any_folder else folder


def _found_files(
    preset: StreamPreset, root: Path, location: Path | None, settings: StreamSettings
) -> StreamFiles:
    try:
        return preset.find_files(root, settings)
    except StreamError as error:
        told = str(error).replace(str(root), str(location))  # the user knows of no temporary folder
        if preset.find_files is not any_folder:
            raise StreamError(f"{preset.name}: {told}; {preset.how_to_get}") from error
        raise (EmptyTask if isinstance(error, EmptyTask) else StreamError)(told) from error
