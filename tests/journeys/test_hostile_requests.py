"""Whatever is sent to a server, it answers with one line or cuts the connection, and goes on answering."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from urllib.parse import quote, urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.web.bodies import BodyLimits
from cli.web.gatekeeper import Gatekeeper
from cli.web.protocol import PunctualProtocol
from tests.servers import MOST_BYTES, serving, until

TRAVERSALS = (
    "../../../../etc/passwd",
    "..%2f..%2fcdml.toml",
    "%2e%2e/%2e%2e/catalog.db",
    "....//....//cdml.toml",
    "..\\..\\cdml.toml",
    "/etc/passwd",
    "index.html/../../measures.py",
    "file:///etc/passwd",
    "\x00cdml.toml",
    "cdml.toml%00.css",
    "' OR 1=1 --",
    "1; DROP TABLE item",
    "<script>alert(1)</script>",
    "٣",
    "1e3",
    "-1",
    str(2**63),
    "9" * 400,
)
READ = BodyLimits.read
CUT_OFF = (httpx.WriteError, httpx.RemoteProtocolError, httpx.ReadError)
"""What a client meets that is answered, or hung up on, while it still sends."""
hostile_text = st.one_of(st.sampled_from(TRAVERSALS), st.text(max_size=60))


@pytest.fixture(scope="module")
def server(learned_site):
    with serving(learned_site.workspace) as client:
        yield client


@pytest.fixture(scope="module")
def routes(server):
    """Return (method, path, names of its parameters) of every operation, and those that are not described."""
    described = server.get("/openapi.json").json()["paths"]
    found = [
        (method.upper(), path, [one["name"] for one in operation.get("parameters", ())])
        for path, operations in described.items()
        for method, operation in operations.items()
    ]
    return [*found, ("GET", "/static/{name}", ["name"]), ("GET", "/", [])]


def check(response):
    """Check what holds of every answer."""
    assert response.status_code < 500 or response.status_code == 503, response.text
    for secret in ("root:x:", "[model]", "SQLite format", "Traceback", "class Measures"):
        assert secret not in response.text
    if response.status_code >= 400:
        document = json.loads(response.text)
        assert list(document) == ["error"]
        assert document["error"]
        assert "\n" not in document["error"]
    assert "nosniff" in response.headers["x-content-type-options"]


def test_every_route_takes_every_traversal_for_what_it_is(server, routes):
    for method, path, names in routes:
        for text in TRAVERSALS:
            filled, query = path, {}
            for name in names:
                if f"{{{name}}}" in path:
                    filled = filled.replace(f"{{{name}}}", quote(text, safe=""))
                else:
                    query[name] = text
            check(server.request(method, filled, params=query, content=text.encode()))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_every_route_takes_hostile_paths_and_parameters_for_what_they_are(server, routes, data):
    method, path, names = data.draw(st.sampled_from(routes))
    filled, query = path, {}
    for name in names:
        value = data.draw(hostile_text, label=name)
        if f"{{{name}}}" in path:
            raw = data.draw(st.booleans(), label="as it is")
            filled = filled.replace(
                f"{{{name}}}",
                value if raw and value.isascii() and value.isprintable() else quote(value, safe=""),
            )
        elif data.draw(st.booleans(), label=f"gives {name}"):
            query[name] = value
    body = data.draw(st.binary(max_size=200)) if method == "POST" else None
    try:
        response = server.request(
            method, filled.replace("#", "%23").replace("?", "%3F") or "/", params=query, content=body
        )
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        return  # no client can send this
    check(response)


@settings(max_examples=60, deadline=None)
@given(body=st.binary(max_size=3000))
def test_bytes_that_are_no_image_are_refused_with_a_reason(server, body):
    for path in ("/api/v1/search", "/api/v1/explain?item_id=1"):
        response = server.post(path, content=body)
        check(response)
        assert response.status_code in (400, 422)


@pytest.mark.parametrize("path", ["/api/v1/search", "/api/v1/explain?item_id=1", "/api/v1/session"])
@pytest.mark.parametrize("declared", [True, False])
def test_a_body_over_the_cap_is_refused_before_it_is_there(server, path, declared):
    def without_end():
        for _ in range(40):
            yield b"x" * (MOST_BYTES // 16)

    body = b"x" * (MOST_BYTES + 1) if declared else without_end()
    with suppress(*CUT_OFF):
        response = server.post(path, content=body)
        assert response.status_code == 413
        check(response)
    assert server.get("/healthz").status_code == 200


def test_no_route_takes_a_body_over_the_cap_and_all_answer_afterwards(server, routes):
    for method, path, _ in routes:
        with suppress(*CUT_OFF):
            response = server.request(
                method, path.replace("{", "").replace("}", ""), content=b"x" * (MOST_BYTES + 1)
            )
            check(response)
            assert response.status_code in (400, 413) or method == "GET"
        assert server.get("/healthz").status_code == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "NONSENSE"])
def test_methods_that_nothing_is_done_for_are_refused_on_every_route(server, routes, method):
    for _, path, _ in routes:
        response = server.request(method, path.replace("{", "").replace("}", ""))
        assert response.status_code in (400, 404, 405)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "",
        "127.0.0.1.evil.example",
        "[::1",
        "10.0.0.1",
        "LOCALHOST@x",
    ],
)
def test_other_names_than_the_allowed_ones_are_not_answered_on_any_route(server, routes, host):
    for method, path, _ in routes:
        response = server.request(method, path.replace("{", "").replace("}", ""), headers={"host": host})
        assert response.status_code in (400, 421), (path, response.text)


@pytest.mark.parametrize("host", ["localhost", "localhost:8765", "127.0.0.1:1", "[::1]:8765", "LocalHost:80"])
def test_the_allowed_names_are_answered_with_any_port(server, host):
    assert server.get("/healthz", headers={"host": host}).status_code == 200


def test_pages_of_other_sites_get_nothing_but_may_link_here(server):
    for site in ("cross-site", "same-site"):
        script = {"sec-fetch-site": site, "sec-fetch-mode": "no-cors"}
        for path in ("/api/v1/status", "/api/v1/items/1/picture", "/metrics", "/"):
            assert server.get(path, headers=script).status_code == 403
        link = {"sec-fetch-site": site, "sec-fetch-mode": "navigate"}
        assert server.get("/", headers=link).status_code == 200
        assert server.post("/api/v1/search", headers=link).status_code == 403


def connect(server):
    address = urlsplit(str(server.base_url))
    return socket.create_connection((address.hostname, address.port), timeout=30)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"GET /heal",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        b"POST /api/v1/search HTTP/1.1\r\n",
    ],
)
def test_a_client_that_never_ends_its_request_is_cut_off(server, monkeypatch, head):
    monkeypatch.setattr(PunctualProtocol, "head_seconds", 0.2)
    with connect(server) as client:
        client.sendall(head)
        assert client.recv(100) == b""
    assert server.get("/healthz").status_code == 200


def test_one_that_begins_a_second_request_and_never_ends_it_is_cut_off_too(server, monkeypatch):
    monkeypatch.setattr(PunctualProtocol, "head_seconds", 0.2)
    with connect(server) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b""
        while not answer.endswith(b"null}"):
            answer += client.recv(10_000)
        client.sendall(b"GET /healthz HTTP/1.1\r\nHo")
        assert client.recv(100) == b""


@pytest.mark.parametrize("path", [b"/api/v1/search", b"/api/v1/explain?item_id=1", b"/api/v1/session"])
def test_a_client_that_sends_its_body_too_slowly_is_told_so(server, monkeypatch, path):
    async def impatient(self, *arguments):
        monkeypatch.setattr(self, "_seconds", 0.2)
        return await READ(self, *arguments)

    monkeypatch.setattr(BodyLimits, "read", impatient)
    with connect(server) as client:
        client.sendall(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc" % path)
        answer = b"".join(iter(lambda: client.recv(10_000), b""))
    assert b"408" in answer.splitlines()[0]
    assert b"did not arrive within 0.2 seconds" in answer


def test_a_client_that_takes_no_answer_does_not_keep_it_for_ever(server, monkeypatch):
    ended = []
    called = Gatekeeper.__call__

    async def impatient(self, scope, receive, send):
        monkeypatch.setattr(self, "_longest", 0.3)
        try:
            await called(self, scope, receive, send)
        except TimeoutError:
            ended.append(scope["path"])
            raise

    monkeypatch.setattr(Gatekeeper, "__call__", impatient)
    with connect(server) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
        with suppress(OSError):  # cut off
            client.sendall(400 * request)
        until(lambda: ended == ["/openapi.json"])
    assert server.get("/healthz").status_code == 200


def test_many_half_sent_images_together_take_no_more_than_they_may(server, monkeypatch):
    limits = BodyLimits(MOST_BYTES, all_together=100)
    monkeypatch.setattr(BodyLimits, "read", lambda self, request: READ(limits, request))
    refused = server.post("/api/v1/search", content=b"x" * 101)
    assert (refused.status_code, refused.json()["error"]) == (
        503,
        "too much is being sent at once; try again in a moment",
    )
    assert (
        server.post("/api/v1/search", content=b"x" * 100).status_code == 422
    )  # what was taken is given back
