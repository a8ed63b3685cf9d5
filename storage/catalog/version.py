"""The schema revision that this cdml reads and writes."""

from __future__ import annotations

from continual_dml.errors import CatalogError, SchemaTooNew

REVISION = "0003"


def check_revision(found: str | None, where: str) -> None:
    """Accept a catalogue whose schema is exactly ours.

    Args:
        found: the revision that the catalogue names, None where it names none.
        where: the catalogue, for messages.

    Raises:
        SchemaTooNew: a newer cdml wrote it.
        CatalogError: it is older, or no catalogue.
    """
    if found is None:
        raise CatalogError(f"{where} holds no cdml catalogue: make one with `cdml init`")
    if found > REVISION:
        raise SchemaTooNew(
            f"the catalogue {where} has schema {found}, this cdml knows {REVISION}: install a newer cdml"
        )
    if found < REVISION:
        raise CatalogError(
            f"the catalogue {where} has schema {found}, older than {REVISION}: "
            "the next `cdml ingest-task` brings it up to date"
        )
