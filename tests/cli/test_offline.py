"""``--offline``: no connection to another machine, and one clear line where one would be needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cli

ROOT = Path(cli.__file__).parent.parent

TRY = """
import socket, sys
from cli.offline import go_offline
go_offline()
from continual_dml.errors import CdmlError
for host in sys.argv[1:]:
    try:
        socket.create_connection((host, 9), timeout=0.01)
    except CdmlError as error:
        print(host, "refused:", error)
    except OSError:
        print(host, "tried")
with socket.socket(socket.AF_UNIX) as local:
    try:
        local.connect("/nowhere/socket")
    except OSError:
        print("a socket of this machine tried")
"""


def test_other_machines_are_refused_and_this_one_is_not():
    hosts = ["192.0.2.1", "download.example", "127.0.0.1", "localhost"]
    done = subprocess.run(
        [sys.executable, "-c", TRY, *hosts], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()

    assert done[0].startswith("192.0.2.1 refused: --offline: a connection to 192.0.2.1 was refused")
    assert done[1].startswith("download.example refused")
    assert done[2:] == ["127.0.0.1 tried", "localhost tried", "a socket of this machine tried"]


def test_weights_that_are_not_in_the_cache_are_one_line(process, tmp_path):
    asked = ("init", "--weights", "imagenet", "-w", tmp_path / "w")

    run = process(*asked, CDML_OFFLINE="1", TORCH_HOME=str(tmp_path / "cache"))

    assert (run.code, run.out) == (2, "")
    assert run.err.startswith("error: ImageNet weights of 'mobilenet_v2' are not in the cache folder")
    assert "unless --offline is given" in run.err
    assert run.err.count("\n") == 1
    assert not (tmp_path / "w").exists()
