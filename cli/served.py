"""Queries through a server that runs in the workspace: no model to load, no torch to import."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from cli.searching import Answer, Hit
from continual_dml.verdicts import Verdict

if TYPE_CHECKING:
    from storage.catalog.statements import RunStatement
    from storage.workspace import Workspace

_SECONDS = 60.0


class _NotServed(Exception):
    """The server cannot answer this; the query then runs without it, which also says what is wrong."""


def socket_path(root: Path) -> Path:
    """Return where a server of a workspace listens for those who may use the workspace's files."""
    return root / "serve.sock"


def ask_server(
    workspace: Workspace, paths: Sequence[Path], k: int, where: str | None, *, judged: bool
) -> Answer | None:
    """Find the ``k`` nearest gallery items of each image, as ``cli.searching.run_search`` does.

    Args:
        workspace: that is searched.
        paths: of images.
        k: neighbours of each.
        where: a filter, as text.
        judged: whether it is to be said if there is a match.

    Returns:
        None where no server answers from the generation that is live, or it refuses an image.

    Raises:
        CatalogError: the catalogue cannot answer.
    """
    if not socket_path(workspace.root).is_socket():
        return None
    from storage.catalog import statements
    from storage.statements import open_statements

    with open_statements(workspace) as run:
        live = statements.read_head(run)
        if live is None:
            return None
        asked: dict[str, Any] = {"k": k, "judged": judged, "generation": live.generation_id}
        if where is not None:
            asked["where"] = where
        try:
            results = _asked(workspace, paths, f"/api/v1/search?{urlencode(asked)}")
            hits = [_hits(run, live.generation_id, result) for result in results]
        except (_NotServed, OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
            return None
        return Answer(
            live.generation_id,
            tuple((str(path), found) for path, found in zip(paths, hits, strict=True)),
            frozenset(statements.read_categories(run, live.generation_id).values()),
            tuple(_verdict(result) for result in results) if judged else (),
            results[0]["no_threshold"] if results else None,
        )


class _OwnSocket(http.client.HTTPConnection):
    """A connection to a socket in the file system."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _asked(workspace: Workspace, paths: Sequence[Path], target: str) -> list[dict[str, Any]]:
    """Return what the server says of each image."""
    connection = _OwnSocket(socket_path(workspace.root))
    results = []
    try:
        for path in paths:
            content = _content(path, workspace.settings.streams.max_file_bytes)
            connection.request("POST", target, content, {"Content-Type": "application/octet-stream"})
            response = connection.getresponse()
            body = response.read()
            if response.status != http.client.OK:
                raise _NotServed
            results.append(json.loads(body))
    finally:
        connection.close()
    return results


def _content(path: Path, most: int) -> bytes:
    if not path.is_file():  # a pipe, for instance, can be read once only
        raise _NotServed
    with path.open("rb") as file:
        content = file.read(most + 1)
    if not content or len(content) > most:
        raise _NotServed
    return content


def _hits(run: RunStatement, generation: int, result: dict[str, Any]) -> list[Hit]:
    from storage.catalog.statements import read_items

    near = {int(one["id"]): float(one["similarity"]) for one in result["neighbours"]}
    items = read_items(run, generation, sorted(near))
    if len(items) != len(near):
        raise _NotServed
    return [Hit(items[number], similarity) for number, similarity in near.items()]


def _verdict(result: dict[str, Any]) -> Verdict:
    return Verdict(result["match"], result["threshold"], result["confidence"])
