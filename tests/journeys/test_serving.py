"""``cdml serve`` as a process: where it listens, how it ends, and how ``cdml query`` finds it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

import cli
from cli.served import ask_server, socket_path
from cli.wiring import open_workspace

ROOT = Path(cli.__file__).parent.parent


def started(workspace, *arguments, **environment):
    command = [sys.executable, "-m", "cli.app", "serve", "-w", workspace, "--port", "0", "--json", *arguments]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def address_of(process):
    lines = []
    while not lines or lines[-1].rstrip() != "}":
        lines.append(process.stdout.readline())
        assert lines[-1], process.stderr.read()
    return json.loads("".join(lines))["address"]


@pytest.fixture
def photos(learned_site):
    return sorted(learned_site.latin.rglob("*.png"))[:3]


@pytest.fixture
def server(site):
    process = started(site.workspace)
    yield process, address_of(process)
    if process.poll() is None:
        process.kill()
    process.communicate()


def test_a_query_while_a_server_runs_is_the_same_query_without_loading_a_model(site, server, photos, cdml):
    arguments = ("query", *photos, "-w", site.workspace, "-k", "4", "--where", "task = 'latin'", "--json")
    modules = subprocess.run(
        [sys.executable, "-c", "import sys\nfrom cli.app import main\ntry:\n    main()\n"
         "finally:\n    print(*sorted(sys.modules), file=sys.stderr)", *map(str, arguments)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert not {"torch", "numpy", "faiss", "sqlalchemy", "PIL", "httpx"} & set(modules.stderr.split())
    served, cold = json.loads(modules.stdout), json.loads(cdml(*arguments, "--cold").out)
    assert served["generation"] == cold["generation"]
    for one, other in zip(served["queries"], cold["queries"], strict=True):
        assert (one["path"], one["match"]) == (other["path"], other["match"])
        assert one["confidence"] == pytest.approx(other["confidence"], abs=1e-3)
        ids = [[hit["item_id"] for hit in answer["neighbours"]] for answer in (one, other)]
        assert ids[0] == ids[1]
        scores = [[hit["score"] for hit in answer["neighbours"]] for answer in (one, other)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-5)
    assert one["neighbours"][0]["path"] == str(photos[-1])


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_server_ends_when_told_to_and_leaves_no_socket(site, server, how):
    process, address = server
    assert httpx.get(f"{address}healthz").json()["status"] == "ok"
    assert socket_path(site.workspace).stat().st_mode & 0o777 == 0o600
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert err.splitlines()[-1] == "stopped"
    assert not socket_path(site.workspace).exists()


def test_a_query_goes_on_without_a_server_that_died_or_says_nonsense(site, server, photos, cdml):
    process, _ = server
    process.kill()
    process.wait()
    workspace = open_workspace(site.workspace)
    assert socket_path(site.workspace).is_socket()  # it could not remove it any more
    assert ask_server(workspace, photos, 2, None, judged=True) is None
    assert cdml("query", photos[0], "-w", site.workspace, "--json").code == 0
    socket_path(site.workspace).unlink()
    with socket.socket(socket.AF_UNIX) as nonsense:
        nonsense.bind(str(socket_path(site.workspace)))
        nonsense.listen()
        answering = subprocess.Popen(
            [sys.executable, "-c", "import socket, sys\ns = socket.socket(fileno=int(sys.argv[1]))\n"
             "c = s.accept()[0]\nc.recv(100)\n"
             "c.sendall(b'HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\n\\r\\n[]')\n",
             str(nonsense.fileno())],
            pass_fds=[nonsense.fileno()],
        )  # fmt: skip
        assert ask_server(workspace, photos, 2, None, judged=True) is None
        answering.wait(timeout=60)


def test_what_the_server_refuses_is_said_by_the_query_itself(site, server, tmp_path, cdml):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    run = cdml("query", broken, "-w", site.workspace)
    assert run.code == 1
    assert run.error_lines == [
        f"error: {broken}: not a JPEG, PNG, WEBP, BMP, GIF or TIFF image; nothing was searched, give "
        "readable images only"
    ]
    missing = cdml("query", tmp_path / "missing.png", "-w", site.workspace)
    assert "no such file" in missing.err


def test_a_second_server_of_a_workspace_serves_its_page_and_says_who_answers_queries(site, server):
    second = started(site.workspace)
    try:
        assert httpx.get(f"{address_of(second)}healthz").status_code == 200
    finally:
        second.terminate()
        _, err = second.communicate(timeout=60)
    assert "another server answers `cdml query` in this workspace already" in err
    assert socket_path(site.workspace).is_socket()


def test_a_server_in_a_workspace_whose_path_is_too_long_for_a_socket_serves_all_the_same(site):
    deep = site.workspace.parent / ("d" * 120)
    site.workspace.rename(deep)
    process = started(deep)
    try:
        assert httpx.get(f"{address_of(process)}healthz").status_code == 200
    finally:
        process.terminate()
        _, err = process.communicate(timeout=60)
    assert "`cdml query` cannot use this server" in err


def test_other_machines_are_served_only_where_a_token_keeps_strangers_out(site, cdml):
    open_to_all = cdml("serve", "-w", site.workspace, "--host", "0.0.0.0")
    assert (open_to_all.code, open_to_all.error_lines) == (
        2,
        [
            "error: --host 0.0.0.0 lets other machines ask: set CDML_TOKEN to a secret of 16 characters or "
            "more"
        ],
    )
    weak = cdml("serve", "-w", site.workspace, "--host", "0.0.0.0", "--token", "secret")
    assert (weak.code, "too easy to guess" in weak.err) == (2, True)
    process = started(
        site.workspace, "--host", "0.0.0.0", "--allow-host", "photos.example", CDML_TOKEN="x" * 16
    )
    try:
        port = httpx.URL(address_of(process)).port
        headers = {"host": "photos.example", "authorization": f"Bearer {'x' * 16}"}
        assert httpx.get(f"http://127.0.0.1:{port}/api/v1/status", headers=headers).status_code == 200
        assert httpx.get(f"http://127.0.0.1:{port}/api/v1/status").status_code == 401
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--host", "no such host"], "cannot listen on no such host"),
        (["--host", "192.0.2.1", "--token", "x" * 16], "cannot listen on 192.0.2.1"),
    ],
)
def test_an_address_that_cannot_be_listened_on_is_one_line(site, cdml, arguments, line):
    token = [] if "--token" in arguments else ["--token", "x" * 16]
    run = cdml("serve", "-w", site.workspace, *arguments, *token)
    assert run.code == 1
    assert len(run.error_lines) == 1
    assert line in run.error_lines[0]


def test_a_port_that_is_taken_and_a_workspace_without_a_task_are_one_line_each(site, tmp_path, cdml):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        run = cdml("serve", "-w", site.workspace, "--port", str(taken.getsockname()[1]))
    assert (run.code, "Address already in use; give another --port" in run.err) == (1, True)
    assert cdml("init", "-w", tmp_path / "empty", "--weights", "none", "--backbone", "conv4").code == 0
    empty = cdml("serve", "-w", tmp_path / "empty", "--port", "0")
    assert (empty.code, "holds no task yet: run `cdml ingest-task FOLDER`" in empty.err) == (1, True)
