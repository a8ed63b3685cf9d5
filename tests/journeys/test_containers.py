"""The Dockerfile and compose.yaml, as far as they can be held to their word without a Docker engine."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.core import TyperGroup

import cli
from cli.app import command_line
from cli.option_table import OPTIONS
from tests.servers import serving

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(cli.__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE_TEXT = (ROOT / "compose.yaml").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load(COMPOSE_TEXT)
PAGE = (ROOT / "docs" / "docker.md").read_text(encoding="utf-8")
SERVICES = COMPOSE["services"]
SECRETS = ("POSTGRES_PASSWORD", "CDML_TOKEN")
OURS = ("PGPASSWORD", "POSTGRES_PASSWORD", "POSTGRES_USER", "POSTGRES_DB")


def instructions(name: str) -> list[str]:
    """Return what follows each ``name`` of the Dockerfile, lines joined."""
    joined = re.sub(r"\\\n\s*", "", DOCKERFILE)
    return re.findall(rf"^{name} (.*)$", joined, flags=re.MULTILINE)


def commands_told() -> Iterator[list[str]]:
    """Yield every command of cdml that files and page give to a container."""
    yield [*json.loads(instructions("CMD")[0])]
    yield from (service["command"] for service in SERVICES.values() if "command" in service)
    for text in (PAGE, COMPOSE_TEXT):
        for line in re.findall(r"^(?:# *)?docker (?:compose )?run (.*)$", text, flags=re.MULTILINE):
            words = shlex.split(line)
            rest = words[words.index("cdml") + 1 :]
            if rest:
                yield rest


@pytest.mark.parametrize("command", list(commands_told()), ids=" ".join)
def test_every_command_is_one_of_cdml_with_flags_that_it_has(command):
    whole = command_line()
    assert isinstance(whole, TyperGroup)
    name, *arguments = command
    found = whole.commands[name]

    found.make_context(name, [*arguments])  # ends with a usage error where the command cannot be
    flags = {flag for parameter in found.params for flag in (*parameter.opts, *parameter.secondary_opts)}

    assert {word for word in arguments if word.startswith("-")} <= flags


def test_the_image_copies_what_is_there_and_not_ignored():
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = [
        name for line in instructions("COPY") if not line.startswith("--from") for name in line.split()[:-1]
    ]

    assert "*" in ignore
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert [name for name in copied if f"!{name}" not in ignore] == []


def test_the_image_holds_every_package_of_the_wheel():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    copied = set(instructions("COPY"))
    run = " ".join(instructions("RUN"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

    assert {f"{name} {name}" for name in packages} <= copied
    for needed in project["project"]["dependencies"]:
        if re.match(r"torch(vision)?>", needed):
            assert f'"{needed}"' in run
    extras = re.search(r"\.\[([a-z,]+)\]", run)[1].split(",")
    assert set(extras) <= set(project["project"]["optional-dependencies"])
    python = instructions("FROM")[0].split()[0].removeprefix("python:").removesuffix("-slim")
    assert f"Programming Language :: Python :: {python[0]}" in project["project"]["classifiers"]


def test_no_host_is_wired_in_and_no_secret_has_a_value():
    for text in (DOCKERFILE, COMPOSE_TEXT, (ROOT / ".dockerignore").read_text(encoding="utf-8")):
        assert re.findall(r"https?://(?!127\.0\.0\.1)[\w.]+", text) == []
    assert re.findall(r"^ARG (\w+)=(.+)$", DOCKERFILE, flags=re.MULTILINE) == [("TORCH_INDEX", '""')]
    for name in SECRETS:
        assert name not in "".join(instructions("ENV"))
        assert set(re.findall(rf"\$\{{{name}(.)", COMPOSE_TEXT)) == {":"}
        assert set(re.findall(rf"\$\{{{name}:(.)", COMPOSE_TEXT)) == {"?"}


def test_the_process_is_not_root_and_its_user_owns_the_volume():
    text = DOCKERFILE.rsplit("FROM", maxsplit=1)[1]

    assert (
        text.index("chown cdml:cdml /workspace") < text.index("USER cdml") < text.index("VOLUME /workspace")
    )
    assert "USER root" not in text


def test_variables_are_those_of_cdml_and_of_postgresql():
    told = {name for service in SERVICES.values() for name in service.get("environment", {})}
    told |= {pair.split("=")[0] for line in instructions("ENV") for pair in shlex.split(line)}
    known = {option.variable for option in OPTIONS}

    assert {name for name in told if name.startswith("CDML_")} <= known
    assert {name for name in told if not name.startswith(("CDML_", "PIP_", "PYTHON"))} <= {*OURS, "PATH"}


def test_services_name_volumes_services_and_the_dockerfile_that_are_there():
    for name, service in SERVICES.items():
        named = [volume.split(":")[0] for volume in service.get("volumes", ())]
        assert {one for one in named if re.fullmatch(r"\w+", one)} <= set(COMPOSE["volumes"]), name
        assert set(service.get("depends_on", ())) <= set(SERVICES)
        assert "build" not in service or (ROOT / service["build"]["context"] / "Dockerfile").is_file()
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    assert set(SERVICES["cdml"]["build"]["args"]) == set(re.findall(r"^ARG (\w+)", DOCKERFILE, re.MULTILINE))


def test_the_database_of_the_address_is_the_one_that_the_service_makes():
    address = SERVICES["serve"]["environment"]["CDML_DATABASE_URL"]
    user, host, database = re.fullmatch(r"postgresql\+psycopg://(\w+)@(\w+)/(\w+)", address).groups()
    made = SERVICES[host]["environment"]

    assert (user, database) == (made["POSTGRES_USER"], made["POSTGRES_DB"])


def test_the_probe_tells_a_server_that_answers_from_none(learned_site, tmp_path):
    probe = json.loads(re.search(r"CMD (\[.*)$", instructions("HEALTHCHECK")[0])[1])
    with serving(learned_site.workspace, token="a token of sixteen or more") as client:
        there = [part.replace("8765", str(client.base_url.port)) for part in probe[1:]]
        answered = subprocess.run([sys.executable, *there], check=False, cwd=tmp_path)
    silent = subprocess.run([sys.executable, *there], check=False, cwd=tmp_path, capture_output=True)

    assert probe[0] == "python"
    assert (answered.returncode, silent.returncode) == (0, 1)


def test_the_image_does_not_serve_without_a_token(cdml, learned_site, monkeypatch):
    monkeypatch.delenv("CDML_TOKEN", raising=False)

    refused = cdml("-w", learned_site.workspace, *json.loads(instructions("CMD")[0]))

    assert refused.code == 2
    assert "CDML_TOKEN" in refused.err
