"""``cdml refresh``: bring the gallery up to date without learning anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from cli import options
from cli.shell import REFUSED, Shell, entered, print_error_line
from continual_dml.records import VectorState

if TYPE_CHECKING:
    from continual_dml.workflows.refresh_items import RefreshResult


def refresh(
    context: typer.Context,
    mode: options.RefreshAgain = None,
    budget: options.ReembedBudget = None,
    max_forgetting: options.MaxForgetting = None,
    device: options.Device = None,
) -> None:
    """Bring the gallery up to date without learning.

    Embeds anew the images whose vectors were left as they were or carried forward, those that the drift maps
    know least about first, as far as their files are there and the budget goes; the others are carried
    forward. Publishes a generation with the same model, or nothing where nothing would change. Ends with 5
    when the quality gate refused it, as for an ingest.
    """
    flags: dict[str, Any] = {
        "refresh": mode,
        "reembed_budget": budget,
        "max_forgetting": max_forgetting,
        "device": device,
    }
    with entered(context) as shell:
        from cli.refreshing import RefreshRequest, run_refresh
        from cli.render.progress import progress_listener
        from cli.settings import merged_options, reembed_budget, refresh_mode, settings_of, task_settings
        from cli.wiring import open_workspace
        from continual_dml.settings import REFRESH_AGAIN

        chosen = {name: value for name, value in merged_options(flags).items() if name in flags}
        how, how_much = refresh_mode(chosen, REFRESH_AGAIN), reembed_budget(chosen)
        opened = open_workspace(shell.folder)
        request = RefreshRequest(how, task_settings(settings_of(opened), chosen), how_much)
        with progress_listener(shell) as listener:
            result = run_refresh(request, opened, listener)
        _show(shell, result)


def _show(shell: Shell, result: RefreshResult) -> None:
    from cli.render.documents import refresh_document
    from cli.render.gates import refused_line

    if shell.as_json:
        shell.emit_json(refresh_document(result))
    else:
        shell.emit_line(_told(result))
    if not result.promoted:
        shell.exit_code = REFUSED
        print_error_line(refused_line(result.generation, result.report["gate"]))
    elif result.published:
        shell.published = result.generation.generation_id


def _told(result: RefreshResult) -> str:
    states = ", ".join(f"{count} {state}" for state, count in result.after.items() if count)
    number = result.generation.generation_id
    if not result.published:
        waiting = any(count for state, count in result.after.items() if state != VectorState.FRESH.value)
        why = "no image could be embedded anew" if waiting else "every item is as the live model embeds it"
        return f"nothing to do: {why}; generation {number} stays live ({states})"
    live = "" if result.promoted else ", not live"
    return f"generation {number}{live}: {result.reembedded} images embedded anew; the gallery is now {states}"
