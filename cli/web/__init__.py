"""The search page and the HTTP API over one workspace: FastAPI, read-only, one generation at a time."""
