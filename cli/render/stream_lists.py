"""The streams that have a name, for ``cdml benchmark --list``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cli.render.tables import paragraph
from continual_dml.reports import SCHEMA_VERSION

if TYPE_CHECKING:
    from cli.shell import Shell
    from streams.named.presets import StreamPreset

_FOLDERS = (
    "Any other images: name a folder or .zip in place of a stream, PATH/<task>/<category>/* or "
    "PATH/<category>/* or PATH/{train,test}/<category>/*."
)


def show_streams(shell: Shell, streams: Sequence[StreamPreset]) -> None:
    """Write what each stream is, how it is learned and measured, and how to get its data to stdout."""
    if shell.as_json:
        shell.emit_json({"schema_version": SCHEMA_VERSION, "streams": [_document(one) for one in streams]})
        return
    for one in streams:
        shell.emit(f"{one.name}: {one.description}")
        shell.emit(f"  {paragraph(f'protocol: {one.protocol}')}")
        shell.emit(f"  {paragraph(f'data: {one.how_to_get}')}\n")
    shell.emit(paragraph(_FOLDERS))


def _document(stream: StreamPreset) -> dict[str, Any]:
    return {
        "name": stream.name,
        "description": stream.description,
        "protocol": stream.protocol,
        "how_to_get": stream.how_to_get,
        "needs_data": stream.needs_data,
        "categories_per_task": list(stream.task_sizes),
    }
