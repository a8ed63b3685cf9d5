"""The application: all routes over one service, behind the gatekeeper."""

from __future__ import annotations

from fastapi import FastAPI

from cli.web import browse_routes, page_routes, report_routes, search_routes
from cli.web.errors import answer_errors
from cli.web.gatekeeper import LONGEST_SECONDS, Application, Gatekeeper
from cli.web.service import Service
from continual_dml import __version__


def application(service: Service, longest_seconds: float = LONGEST_SECONDS) -> Application:
    """Return the ASGI application of a service."""
    app = FastAPI(
        title="cdml",
        version=__version__,
        description="Image search that learns new categories one task at a time. Read-only.",
        docs_url=None,  # FastAPI's pages load their scripts from elsewhere
        redoc_url=None,
    )
    app.state.service = service
    answer_errors(app)
    for routes in (search_routes, browse_routes, report_routes, page_routes):
        app.include_router(routes.router)
    return Gatekeeper(app, service.access, service.measures, longest_seconds)
