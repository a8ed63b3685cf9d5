"""What a new workspace learns with: its network, or the networks of its cohort."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cli.render.documents import embedding_length, init_document

if TYPE_CHECKING:
    from cli.shell import Shell
    from storage.workspace import Workspace

_SCRATCH = "none, it starts from scratch"


def show_init(shell: Shell, made: Workspace) -> None:
    """Write what ``cdml init`` made to stdout."""
    if shell.as_json:
        shell.emit_json(init_document(made))
        return
    model, note = made.settings.model, made.weights_note
    length = f"{embedding_length(model)} numbers per image"
    if model.cohort == 1:
        network = f"{model.backbone}, weights {note.get('source', _SCRATCH)}, {length}"
    else:
        further = note.get("members", [{"backbone": name} for name in model.backbones[1:]])
        first = {**note, "backbone": model.backbone}
        members = ", ".join(_member(member) for member in (first, *further))
        network = f"cohort of {model.cohort} ({members}), {length} ({model.ensemble})"
    shell.emit_line(f"workspace {made.root}: {network}")
    shell.note("next: cdml ingest-task FOLDER, where FOLDER holds one folder of images per category")


def _member(member: Mapping[str, Any]) -> str:
    return f"{member['backbone']} from {member.get('source', 'scratch')}"
