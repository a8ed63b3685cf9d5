"""The schema revision that this cdml reads and writes."""

from __future__ import annotations

from continual_dml.errors import CatalogError, SchemaTooNew

REVISION = "0004"
SERVER_ADVICE = (
    "see whether the server runs and takes this user and password (PGPASSWORD, or ~/.pgpass), and try again; "
    "a lost catalogue is built again with `cdml verify --repair`"
)
UNREADABLE_ADVICE = "look at the database and try again, or build it again with `cdml verify --repair`"


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
        raise CatalogError(
            f"{where} holds no cdml catalogue: a lost one is built again by `cdml verify --repair`"
        )
    if found > REVISION:
        raise SchemaTooNew(
            f"the catalogue {where} has schema {found}, this cdml knows {REVISION}: install a newer cdml"
        )
    if found < REVISION:
        raise CatalogError(
            f"the catalogue {where} has schema {found}, older than {REVISION}: "
            "the next `cdml ingest-task` brings it up to date"
        )
