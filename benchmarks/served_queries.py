"""A query through ``cdml serve``, through ``cdml query`` with and without a server, and by 200 clients.

Run ``python -m benchmarks.served_queries --data grocery-160.zip --record``, then ``--render``. A workspace of
photos is made with the command line and MobileNetV2, a server is started over it, and the three ways to ask
take turns, in the order A B C C B A, each with another photo; all must name the same ten items. After that so
many clients as wanted each send a photo, wait for the answer, and send the next one. They run on the same
machine as the server and take their share of its processors.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks import processes
from benchmarks.documents import add_recording, append_result, read_results, replace_tables
from benchmarks.photos import deal_photos
from cli.machine import environment

RESULTS, DOCUMENT, TABLES = (
    Path("benchmarks/results/served_queries.jsonl"),
    Path("docs/benchmarks.md"),
    "served queries",
)
CATEGORIES, K = 40, 10
WARM, SERVED, COLD = "HTTP request to the server", "cdml query, server running", "cdml query --cold"
TARGET = f"/api/v1/search?k={K}"


def made(home: Path, data: Path, weights: Path, categories: int = CATEGORIES) -> list[Path]:
    """Make a workspace of two tasks of so many categories of photos each, and return the photos."""
    folders = deal_photos(home, [categories] * 2, data)
    where = ("-w", str(home / "workspace"))
    processes.cdml("init", "--weights", str(weights), *where)
    for folder in folders:
        learn = ("--steps", "3", *processes.NOT_JUDGED)
        processes.cdml("ingest-task", str(folder), *learn, *where, accepted=processes.DONE)
    return sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())


@contextmanager
def server(home: Path) -> Iterator[tuple[str, int]]:
    """Yield the host and port of a server over the workspace."""
    command = [
        sys.executable,
        "-m",
        "cli.app",
        "serve",
        "--json",
        "-q",
        "--port",
        "0",
        "-w",
        str(home / "workspace"),
    ]
    told = processes.environment_of_commands()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=told)
    try:
        lines: list[str] = []
        while not lines or lines[-1] != "}\n":
            lines.append(process.stdout.readline() if process.stdout else "")
            if not lines[-1]:
                sys.exit("the server did not start")
        address = urlsplit(json.loads("".join(lines))["address"])
        yield str(address.hostname), int(address.port or 0)
    finally:
        process.terminate()
        process.wait()


def in_turn(home: Path, host: str, port: int, photos: Sequence[Path], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each way to ask, taken in turn."""
    connection = http.client.HTTPConnection(host, port)
    seconds: dict[str, list[float]] = {WARM: [], SERVED: [], COLD: []}
    for number in range(rounds):
        photo = photos[number % len(photos)]
        order = (WARM, SERVED, COLD) if number % 2 == 0 else (COLD, SERVED, WARM)
        found = {}
        for way in order:
            begin = time.perf_counter()
            if way == WARM:
                connection.request("POST", TARGET, photo.read_bytes())
                found[way] = [one["id"] for one in json.loads(connection.getresponse().read())["neighbours"]]
                seconds[way].append(time.perf_counter() - begin)
            else:
                cold = ("--cold",) if way == COLD else ()
                ran = processes.cdml(
                    "query", str(photo), "-k", str(K), "-w", str(home / "workspace"), *cold, accepted=(0, 4)
                )
                found[way] = [one["item_id"] for one in ran.document["queries"][0]["neighbours"]]
                seconds[way].append(ran.clock)
        if len({tuple(ids) for ids in found.values()}) != 1:
            sys.exit(f"{photo.name}: the ways to ask do not agree: {found}")
    connection.close()
    return seconds


def one_after_another(host: str, port: int, photos: Sequence[Path], requests: int) -> list[float]:
    """Return the seconds of requests over one connection, each with the file read, sent and answered."""
    connection = http.client.HTTPConnection(host, port)
    seconds = []
    for number in range(requests):
        photo = photos[(7 * number) % len(photos)]
        begin = time.perf_counter()
        connection.request("POST", TARGET, photo.read_bytes())
        answer = json.loads(connection.getresponse().read())
        seconds.append(time.perf_counter() - begin)
        if len(answer["neighbours"]) != K:
            sys.exit(f"{photo.name}: {answer}")
    connection.close()
    return seconds


async def crowd(
    host: str, port: int, photos: Sequence[bytes], clients: int, lasting: float
) -> dict[str, Any]:
    """Return what ``clients`` met that each ask again as soon as they are answered."""
    seconds: list[float] = []
    errors: dict[str, int] = {}
    end = time.perf_counter() + lasting

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection(host, port)
        turn = number
        while time.perf_counter() < end:
            photo = photos[turn % len(photos)]
            turn += clients
            begin = time.perf_counter()
            try:
                status = await _asked(reader, writer, host, photo)
            except (OSError, asyncio.IncompleteReadError) as error:
                status = type(error).__name__
            if status == "200":
                seconds.append(time.perf_counter() - begin)
            else:
                errors[status] = errors.get(status, 0) + 1
        writer.close()

    begin = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(clients)))
    return {"seconds": seconds, "errors": errors, "lasted": time.perf_counter() - begin}


async def _asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, photo: bytes) -> str:
    head = f"POST {TARGET} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(photo)}\r\n\r\n"
    writer.write(head.encode() + photo)
    await writer.drain()
    answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = next(line for line in answer.splitlines() if line.startswith("content-length:"))
    await reader.readexactly(int(length.partition(":")[2]))
    return answer.split()[1]


def described(seconds: Sequence[float]) -> dict[str, float]:
    """Return how many measurements there are, and their quantiles in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {
        "count": len(seconds),
        "median_ms": 1000 * statistics.median(seconds),
        "p10_ms": 1000 * cuts[9],
        "p90_ms": 1000 * cuts[89],
        "p99_ms": 1000 * cuts[98],
        "longest_ms": 1000 * max(seconds),
    }


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Make the workspace, start the server, and measure."""
    with tempfile.TemporaryDirectory(prefix="cdml-served-") as scratch:
        home = Path(scratch)
        photos = made(home, options.data, options.weights)
        with server(home) as (host, port):
            one_after_another(host, port, photos, 20)
            turns = in_turn(
                home, host, port, photos[:: max(1, len(photos) // options.rounds)], options.rounds
            )
            alone = one_after_another(host, port, photos, options.requests)
            contents = [photo.read_bytes() for photo in photos]
            met = asyncio.run(crowd(host, port, contents, options.clients, options.lasting))
    return {
        "photos": len(photos),
        "turns": {way: described(seconds) for way, seconds in turns.items()},
        "alone": described(alone),
        "crowd": {
            "clients": options.clients,
            "lasted": met["lasted"],
            "per_second": len(met["seconds"]) / met["lasted"],
            "errors": met["errors"],
            **described(met["seconds"]),
        },
        "environment": environment(),
    }


def render(result: dict[str, Any]) -> str:
    """Return the tables of the documentation."""
    lines = ["| way | times | median | 10 to 90 % | longest |", "|---|---|---|---|---|"]
    rows = [*result["turns"].items(), (f"{WARM}, one after another", result["alone"])]
    lines += [
        f"| {way} | {one['count']} | {one['median_ms']:.0f} ms "
        f"| {one['p10_ms']:.0f} to {one['p90_ms']:.0f} ms | {one['longest_ms']:.0f} ms |"
        for way, one in rows
    ]
    crowd = result["crowd"]
    errors = sum(crowd["errors"].values())
    lines += [
        "",
        f"{crowd['clients']} clients at once for {crowd['lasted']:.0f} s: {crowd['count']:,} answers, "
        f"{crowd['per_second']:.0f} a second, {errors} errors; median {crowd['median_ms'] / 1000:.2f} s, "
        f"99 % within {crowd['p99_ms'] / 1000:.2f} s, the longest {crowd['longest_ms'] / 1000:.2f} s.",
        "",
        f"{result['environment']['processor']}, torch {result['environment']['torch']}.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, or render what was measured last."""
    options = _options()
    if options.render:
        replace_tables(DOCUMENT, TABLES, render(read_results(RESULTS)[-1]))
        return
    result = measured(options)
    print(render(result))
    if options.record:
        append_result(RESULTS, result)


def _options() -> argparse.Namespace:
    shared = Path(os.environ.get("CDML_TEST_DATA", "../shared"))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=shared / "data/grocery-160.zip")
    parser.add_argument(
        "--weights", type=Path, default=shared / "weights/mobilenet_v2-imagenet1k.safetensors"
    )
    parser.add_argument("--rounds", type=int, default=16, help="of the ways that take turns")
    parser.add_argument("--requests", type=int, default=300, help="one after another")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--lasting", type=float, default=60.0, help="seconds that the clients ask for")
    add_recording(parser, RESULTS, DOCUMENT)
    return parser.parse_args()


if __name__ == "__main__":
    main()
