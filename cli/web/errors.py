"""Errors as answers: one status, one line that says what is wrong and what to do."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from cli.web.queue import Busy
from continual_dml.errors import CatalogError, CdmlError, SettingsError, StreamError

LOGGER = logging.getLogger("cdml.serve")
_STATUS: tuple[tuple[type[CdmlError], int], ...] = (
    (Busy, 503),
    (StreamError, 422),
    (SettingsError, 400),
    (CatalogError, 503),
)


def answer_errors(app: FastAPI) -> None:
    """Let every error of ``app`` be answered as ``{"error": LINE}``."""

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> JSONResponse:
        detail = "there is nothing at this address; /openapi.json lists what there is"
        if error.detail != "Not Found":
            detail = str(error.detail)
        return _answer(error.status_code, detail, dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = " ".join(str(part) for part in first["loc"])
        return _answer(400, f"{where}: {str(first['msg']).lower()}")

    @app.exception_handler(CdmlError)
    def failed(request: Request, error: CdmlError) -> JSONResponse:
        status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
        if status == 500:
            LOGGER.error("%s", error)
        return _answer(status, str(error), {"retry-after": "1"} if status == 503 else {})

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> JSONResponse:
        LOGGER.error("unexpected %s: %s", type(error).__name__, error, exc_info=error)
        return _answer(500, "something went wrong here; the server's log says what")


def _answer(status: int, reason: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": reason}, status, headers)
