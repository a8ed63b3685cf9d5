"""``cdml serve``: the search page and the HTTP API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli import options
from cli.shell import Shell, entered

if TYPE_CHECKING:
    from cli.web.access import Access

Host = Annotated[
    str, typer.Option(help="Address to listen on. Any but 127.0.0.1, ::1 and localhost needs a token.")
]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any that is free.")]
Token = Annotated[
    str | None,
    typer.Option(
        envvar="CDML_TOKEN",
        help="What has to be shown to be answered, 16 characters or more; best given as CDML_TOKEN, which no "
        "list of processes shows.",
    ),
]
AllowHost = Annotated[
    list[str] | None,
    typer.Option("--allow-host", metavar="NAME", help="Answer under this name too; repeatable."),
]
MostMegabytes = Annotated[
    int, typer.Option("--max-upload", metavar="MB", min=1, max=1024, help="Largest image that may be sent.")
]


def serve(
    context: typer.Context,
    host: Host = "127.0.0.1",
    port: Port = 8765,
    token: Token = None,
    allow_host: AllowHost = None,
    max_upload: MostMegabytes = 20,
    device: options.Device = None,
) -> None:
    """Serve the search page and the HTTP API, until Ctrl-C.

    Read-only. Each new generation answers within seconds of its publication; while a server runs, `cdml
    query` asks it instead of loading the model. With --json the address is printed as a document.
    """
    with entered(context) as shell:
        _require_extra()
        from cli.settings import compute_device, merged_options, settings_of
        from cli.web.running import ServeRequest
        from cli.web.running import serve as run
        from cli.wiring import open_workspace

        access = _access(host, token, allow_host or [])
        opened = open_workspace(shell.folder)
        chosen = compute_device(merged_options({"device": device}), settings_of(opened))
        request = ServeRequest(host, port, chosen, access, max_upload << 20)
        run(opened, request, shell.note, lambda address: _tell(shell, address))


def _access(host: str, token: str | None, names: list[str]) -> Access:
    """Return who may ask a server that listens on ``host``.

    Raises:
        SettingsError: other machines could ask, and there is no token, or a short one.
    """
    from cli.web.access import LEAST_TOKEN, LOOPBACK_NAMES, Access, host_name, is_loopback
    from continual_dml.errors import SettingsError

    if token is None and not is_loopback(host):
        raise SettingsError(
            f"--host {host} lets other machines ask: set CDML_TOKEN to a secret of "
            f"{LEAST_TOKEN} characters or more"
        )
    if token is not None and len(token) < LEAST_TOKEN:
        raise SettingsError(f"the token is too easy to guess: take {LEAST_TOKEN} characters or more")
    allowed = {name for name in map(host_name, names) if name is not None}
    own = set() if host in {"0.0.0.0", "::"} else {host.lower()}  # noqa: S104 - compared, not listened on
    return Access(frozenset(LOOPBACK_NAMES | own | allowed), token)


def _require_extra() -> None:
    from importlib.util import find_spec

    from continual_dml.errors import SettingsError

    missing = [name for name in ("fastapi", "uvicorn", "prometheus_client") if find_spec(name) is None]
    if missing:
        raise SettingsError(f"{missing[0]} is not installed: run `pip install 'cdml[serve]'`")


def _tell(shell: Shell, address: str) -> None:
    if shell.as_json:
        shell.emit_json({"schema_version": 1, "address": address})
    else:
        shell.emit(f"serving {shell.folder} at {address}")
        shell.note("stop with Ctrl-C")
