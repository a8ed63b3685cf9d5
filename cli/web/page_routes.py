"""The search page itself, its files, signing in, and what watches over a server."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, HTTPException, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from cli.web.access import COOKIE
from cli.web.documents import Health
from cli.web.service import Served

router = APIRouter()

_FOLDER = Path(__file__).parent / "static"
_TYPES = {
    "app.js": "text/javascript",
    "browse.js": "text/javascript",
    "dom.js": "text/javascript",
    "icon.svg": "image/svg+xml",
    "index.html": "text/html",
    "search.js": "text/javascript",
    "style.css": "text/css",
    "why.js": "text/javascript",
}
_MOST_TOKEN_BYTES = 4096
_YEAR = 365 * 24 * 3600


@router.get("/", response_class=Response, include_in_schema=False)
def page() -> Response:
    """Return the search page."""
    return _file("index.html")


@router.get("/static/{name}", response_class=Response, include_in_schema=False)
def static(name: str) -> Response:
    """Return a file of the search page."""
    return _file(name)


@router.post("/api/v1/session", status_code=204, tags=["access"])
async def sign_in(request: Request, service: Served) -> Response:
    """Let a browser in that sends the token as the body: it gets a cookie."""
    content = await service.bodies.read(request, "token", _MOST_TOKEN_BYTES)
    response = Response(status_code=204)
    if service.access.token is not None:
        if not service.access.is_token(content.decode("utf-8", "replace").strip()):
            raise HTTPException(401, "this is not the token")
        response.set_cookie(
            COOKIE, service.access.session, max_age=_YEAR, httponly=True, samesite="strict", path="/"
        )
    return response


@router.get("/healthz", tags=["operations"])
def healthz(service: Served) -> Health:
    """Say that the server answers, and whether a newer generation cannot."""
    health = service.searcher.health
    status = "ok" if health.problem is None else "degraded"
    return Health(status=status, generation=health.generation_id, problem=health.problem)


@router.get("/metrics", tags=["operations"], response_class=Response)
def metrics(service: Served) -> Response:
    """Return what the server counts, in Prometheus's text format."""
    with service.searcher.snapshot() as snapshot:
        service.measures.generation.set(snapshot.generation.generation_id)
        service.measures.items.set(len(snapshot.index))
    service.measures.problem.set(service.searcher.health.problem is not None)
    return Response(service.measures.as_text(), headers={"content-type": CONTENT_TYPE_LATEST})


def _file(name: str) -> Response:
    kind = _TYPES.get(name)
    if kind is None:
        raise HTTPException(404, "there is no such file")
    content = (_FOLDER / name).read_bytes()
    headers = {"cache-control": "no-cache"}
    return Response(content, media_type=kind, headers=headers)
