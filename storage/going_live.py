"""Which generation is live: going back to one, and letting one through that its quality gate refused."""

from __future__ import annotations

from continual_dml.errors import CatalogError, CorruptIndex, SelfTestFailed, UnknownChoice
from continual_dml.records import Generation
from storage.artefacts import PublishedArtefacts
from storage.catalog import history, queries
from storage.catalog.engine import Database
from storage.failpoints import reach
from storage.self_test import run_self_test
from storage.verified_files import ADVICE
from storage.workspace import Workspace


def open_generation(workspace: Workspace, database: Database, generation: Generation) -> PublishedArtefacts:
    """Open a published generation's files.

    Raises:
        CorruptIndex: they are missing or differ from what was published.
    """
    directory = workspace.generation_dir(generation.generation_id)
    try:
        return PublishedArtefacts.open(directory, generation, database)
    except FileNotFoundError as error:
        raise CorruptIndex(f"{directory} is missing or not whole: {ADVICE}") from error


def open_kept(workspace: Workspace, database: Database, generation: Generation) -> PublishedArtefacts:
    """Open the files of a generation that may have been collected; raises as :func:`open_generation`.

    Raises:
        CatalogError: they are not kept any more.
    """
    if not workspace.generation_dir(generation.generation_id).is_dir():
        raise CatalogError(
            f"the files of generation {generation.generation_id} are not kept any more: see "
            "`cdml generations`; to keep more, tag them or raise keep_generations in cdml.toml"
        )
    return open_generation(workspace, database, generation)


def to_go_back_to(workspace: Workspace, database: Database, generation_id: int) -> Generation:
    """Return the generation of this number, which was live before.

    Raises:
        UnknownChoice: no such generation was published, or its rows are forgotten.
        CatalogError: nothing is live yet, or its quality gate refused it.
    """
    with database.transaction() as connection:
        live, target = queries.head(connection), queries.generation(connection, generation_id)
        if live is None:
            raise CatalogError(f"{workspace.root} holds no task yet: there is nothing to go back to")
        if target is None:
            raise UnknownChoice("generation", str(generation_id), map(str, history.published(connection)))
        reason = queries.refusals(connection).get(generation_id)
        if reason is not None and generation_id not in queries.lineage(connection, live.generation_id):
            raise CatalogError(
                f"the quality gate refused generation {generation_id} ({reason}): look at it with `cdml "
                f"report --generation {generation_id}`, make it live with `cdml promote {generation_id}`"
            )
    return target


def to_promote(workspace: Workspace, database: Database, generation_id: int | None) -> Generation:
    """Return the refused generation of this number; None stands for the newest one that could go live.

    Raises:
        UnknownChoice: no such generation was published, or its rows are forgotten.
        CatalogError: it was not refused, or went live already; or none waits.
    """
    with database.transaction() as connection:
        live, refused = queries.head(connection), queries.refusals(connection)
        known = {one.generation_id: one for one in queries.generations(connection)}
        lineage = [] if live is None else queries.lineage(connection, live.generation_id)
    waiting = [number for number in known if number in refused and number not in lineage]
    if generation_id is None:
        there = [number for number in waiting if workspace.generation_dir(number).is_dir()]
        if not there:
            raise CatalogError(
                f"the quality gate has kept no generation back that {workspace.root} still holds: see "
                "`cdml generations`"
            )
        return known[there[0]]
    if generation_id not in known:
        raise UnknownChoice("generation", str(generation_id), map(str, known))
    target = known[generation_id]
    if generation_id not in waiting and target != live:
        raise CatalogError(
            f"the quality gate did not keep generation {generation_id} back: `cdml rollback {generation_id}` "
            "makes it live again"
        )
    return target


def make_live(workspace: Workspace, database: Database, target: Generation) -> bool:
    """Move the head to ``target``, once its files have proved whole through the self-test of a publication.

    Returns:
        Whether it moved: ``target`` may be live already.

    Raises:
        CatalogError: its files are not kept any more, or another generation went live meanwhile.
        GalleryError: its files are damaged; the live generation stays.
    """
    number = target.generation_id
    with database.transaction() as connection:
        live = queries.head(connection)
        gallery, parts = queries.gallery_ids(connection, number), queries.parts(connection, number)
    if target == live:
        return False
    try:
        run_self_test(open_kept(workspace, database, target), gallery, parts, None)
    except SelfTestFailed as error:
        state = "nothing is live yet" if live is None else f"generation {live.generation_id} stays live"
        raise SelfTestFailed(f"generation {number} failed its self-test: {error}; {state}") from error
    history.move_head(database, None if live is None else live.generation_id, number)
    reach("committed")
    return True
