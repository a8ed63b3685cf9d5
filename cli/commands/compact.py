"""``cdml compact``: write what a search has to compute, or to skip, into files of its own."""

from __future__ import annotations

import typer

from cli.shell import entered


def compact(
    context: typer.Context,
) -> None:
    """Write the gallery's vectors and its index anew, so that single queries are fast again.

    For a gallery whose vectors are computed from features when it is searched, one that images were deleted
    from, and one that wants another kind of index by now. Publishes a generation with the same model and the
    same images, or nothing where nothing would change.
    """
    with entered(context) as shell:
        from cli.housekeeping import run_compact
        from cli.render.documents import compact_document
        from cli.render.progress import progress_listener
        from cli.wiring import open_workspace

        with progress_listener(shell) as listener:
            done = run_compact(open_workspace(shell.folder), listener)
        if shell.as_json:
            shell.emit_json(compact_document(done))
        elif done.before == done.now:
            shell.emit_line(
                f"nothing to do: the index of generation {done.now} is {done.kind_now}, and whole"
            )
        else:
            shell.published = done.now
            renewed = "" if done.kind_now == done.kind_before else f" instead of {done.kind_before}"
            shell.emit_line(
                f"generation {done.now}: index {done.kind_now}{renewed}, {done.index_bytes:,} bytes"
            )
