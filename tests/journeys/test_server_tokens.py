"""A server with a token tells nothing of its workspace to whoever has not shown it."""

from __future__ import annotations

import httpx

from cli.web.access import COOKIE
from tests.servers import serving

TOKEN = "a token of more than sixteen characters"


def test_without_the_token_nothing_of_the_workspace_is_told(learned_site):
    with serving(learned_site.workspace, TOKEN) as server:
        for path in (
            "/api/v1/status",
            "/api/v1/items/1/picture",
            "/reports/2",
            "/metrics",
            "/openapi.json",
            "/nothing",
        ):
            refused = server.get(path)
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        for wrong in ("Bearer wrong", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xff"):
            assert (
                server.get("/api/v1/status", headers={"authorization": wrong.encode("latin-1")}).status_code
                == 401
            )
        for path in ("/", "/healthz", "/static/app.js"):
            assert server.get(path).status_code == 200
        assert server.get("/api/v1/status", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_a_browser_that_has_shown_the_token_gets_a_cookie_that_does_not_hold_it(learned_site):
    with serving(learned_site.workspace, TOKEN) as server:
        assert server.post("/api/v1/session", content=b"not the token").status_code == 401
        entered = server.post("/api/v1/session", content=TOKEN.encode())
        cookie = entered.headers["set-cookie"]
        assert entered.status_code == 204
        assert TOKEN not in cookie
        assert all(word in cookie for word in ("HttpOnly", "SameSite=strict"))
        assert server.get("/api/v1/status").status_code == 200
        bare = httpx.Client(base_url=server.base_url, cookies={COOKIE: "0" * 64})
        assert bare.get("/api/v1/status").status_code == 401
        bare.close()
