"""What must hold after any interruption."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import closing
from pathlib import Path

from storage.catalog import history, queries
from storage.catalog.engine import Database
from storage.store import WorkspaceStore
from storage.verification import verify
from storage.workspace import Workspace
from tests.faults.scenarios import QUIET, Scenario
from tests.faults.whole_ingest import ALL_SCENARIOS

_IN_A_WORKSPACE = {"cdml.toml", "catalog.db", "catalog.db-wal", "catalog.db-shm", "LOCK", "gen", "leases",
                   "queries", "initial-weights.safetensors", "interrupted-training",
                   "interrupted-embedding"}  # fmt: skip


def violations(
    name: str, folder: Path, before: Hashable, after: Hashable, *, acknowledged: bool
) -> Iterator[str]:
    """Yield what is wrong in ``folder`` after the scenario ``name`` was interrupted there.

    1. A user sees the old state or the new one, at once and without any repair; what was acknowledged is new.
    2. The next writer's recovery changes nothing of that, and leaves nothing lying around.
    3. Everything verifies, the next operation works, and everything verifies again.
    """
    scenario = ALL_SCENARIOS[name]
    try:
        seen = scenario.look(folder)
    except Exception as error:  # noqa: BLE001 - any of them is the violation
        yield f"cannot be read: {type(error).__name__}: {error}"
        return
    if seen not in (before, after):
        yield f"neither the old state nor the new one: {seen}"
        return
    if acknowledged and seen != after:
        yield "an acknowledged operation is lost"
        return
    try:
        yield from _afterwards(scenario, folder, seen, before, after)
    except Exception as error:  # noqa: BLE001
        yield f"the next operation fails: {type(error).__name__}: {error}"


def _afterwards(
    scenario: Scenario, folder: Path, seen: Hashable, before: Hashable, after: Hashable
) -> Iterator[str]:
    if scenario.makes and seen == before:
        scenario.act(folder)
        seen = scenario.look(folder)
        if seen != after:
            yield f"done again, it does not give the new state but {seen}"
    workspace = Workspace.open(folder / scenario.workspace)
    with WorkspaceStore(workspace) as store:
        if store.warnings:
            yield f"recovery warns: {store.warnings}"
    if scenario.look(folder) != seen:
        yield "recovery changed what is seen"
    yield from lying_around(workspace)
    yield from verify(workspace, deep=True, listener=QUIET).problems
    scenario.follow_up(workspace, folder)
    if "next" not in str(scenario.look(folder)):
        yield "the next task is not there"
    yield from lying_around(workspace)
    yield from verify(workspace, deep=True, listener=QUIET).problems


def lying_around(workspace: Workspace) -> Iterator[str]:
    """Yield what no generation needs."""
    database = Database(workspace.database_url, read_only=True)
    with closing(database), database.transaction() as connection:
        kept = history.kept(connection, workspace.keep_generations)
        copies = queries.all_query_hashes(connection)
        unfinished = queries.unfinished_runs(connection)
    directories = {path.name for path in workspace.generations_dir.iterdir()}
    if not directories <= {workspace.generation_dir(number).name for number in kept}:
        yield f"directories {sorted(directories)} for the generations {sorted(kept)}"
    if {path.name for path in workspace.queries_dir.rglob("*") if path.is_file()} != copies:
        yield "copies of query images do not agree with the catalogue"
    if unfinished:
        yield f"runs {unfinished} are unfinished still"
    names = {path.name for path in workspace.root.iterdir()} - _IN_A_WORKSPACE
    others = sorted(name for name in names if not name.startswith("catalog.db.damaged-"))  # kept for the user
    if others:
        yield f"{others} lie in the workspace"
