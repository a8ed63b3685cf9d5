"""Which near-duplicates fingerprints find, and what they take for one by mistake.

Run ``python -m benchmarks.near_copies --record`` and then ``--render``. Copies of pictures are made in the
usual ways and looked for, and all pairs of pictures are compared. Those of different categories are no copies
for certain; those of one category may be shots of the same scene, so they are counted apart. Fingerprints of
other kinds are measured beside ours.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from benchmarks.documents import add_recording, append_result, read_results, replace_tables
from cli.machine import environment
from continual_dml.fingerprints import (
    BITS,
    NEAR_BITS,
    WORDS,
    fingerprint,
    nearest,
)
from continual_dml.settings import StreamSettings
from streams.image_decoding import decode_image, square_pixels

RESULTS = Path("benchmarks/results/near_copies.jsonl")
DOCUMENT = Path("docs/benchmarks.md")
TABLES = "near copies"
ARCHIVES = {"photos (grocery)": ("grocery-160.zip", 252), "drawings (omniglot)": ("omniglot-242.zip", 36)}
THRESHOLDS = (24, 32, 40, 48, 56)
WANTED = 0.99
NEW, KNOWN = 1_000, 1_000_000
Change = Callable[[Image.Image], Image.Image]
Square = NDArray[np.uint8]
Bits = NDArray[np.uint8]


def saved_as(kind: str, quality: int) -> Change:
    """Return what saves a picture and opens it again."""

    def change(image: Image.Image) -> Image.Image:
        file = BytesIO()
        image.save(file, kind, quality=quality)
        return decode_image(file.getvalue(), StreamSettings(), f"a copy as {kind}")

    return change


def resized(factor: float) -> Change:
    """Return what resizes a picture."""
    return lambda image: image.resize((round(image.width * factor), round(image.height * factor)))


def trimmed(share: float) -> Change:
    """Return what takes a share of width and height away, half of it on each side, and a pixel at least."""

    def change(image: Image.Image) -> Image.Image:
        x, y = (max(1, round(length * share / 2)) for length in image.size)
        return image.crop((x, y, image.width - x, image.height - y))

    return change


CHANGES: Mapping[str, Change] = {
    "saved as JPEG, quality 75": saved_as("JPEG", 75),
    "saved as JPEG, quality 30": saved_as("JPEG", 30),
    "saved as WebP, quality 50": saved_as("WEBP", 50),
    "half as large": resized(0.5),
    "twice as large": resized(2.0),
    "brightness 0.7": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "brightness 1.2": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "contrast 1.3": lambda image: ImageEnhance.Contrast(image).enhance(1.3),
    "without colour": lambda image: image.convert("L").convert("RGB"),
    "trimmed by 2 %": trimmed(0.02),
    "trimmed by 5 %": trimmed(0.05),
    "trimmed by 10 %": trimmed(0.10),
    "mirrored": ImageOps.mirror,
}


def of_cdml(square: Square) -> Bits:
    """Return the fingerprint that cdml keeps."""
    return fingerprint(square).view(np.uint8)


def of_eight_frequencies(square: Square) -> Bits:
    """Return the same with 8 x 8 frequencies, as Zauner 2010 has it."""
    side = square.shape[0]
    waves = np.cos(np.pi * np.outer(np.arange(1, 9), 2 * np.arange(side) + 1) / (2 * side))
    found = waves @ np.asarray(Image.fromarray(square).convert("L"), dtype=float) @ waves.T
    return np.packbits(found > np.median(found))


def of_differences(square: Square) -> Bits:
    """Return whether it gets brighter from each to the next of 9 x 8 places (Krawetz 2013, dHash)."""
    grey = Image.fromarray(square).convert("L").resize((9, 8), Image.Resampling.BOX)
    return np.packbits(np.diff(np.asarray(grey, dtype=int), axis=1) > 0)


HASHES: Mapping[str, Callable[[Square], Bits]] = {
    "16 x 16 frequencies": of_cdml,
    "8 x 8 frequencies": of_eight_frequencies,
    "9 x 8 differences": of_differences,
}


def measure(archive: Path, side: int, copies: int, seed: int) -> dict[str, Any]:
    """Return how far copies of a sample are from their originals, and all pictures from each other."""
    random = np.random.default_rng(seed)
    with zipfile.ZipFile(archive) as opened:
        names = sorted(name for name in opened.namelist() if name.lower().endswith((".jpg", ".png")))
        chosen = set(random.choice(len(names), min(copies, len(names)), replace=False).tolist())
        bits: dict[str, list[Bits]] = {name: [] for name in HASHES}
        apart = {name: {change: [0] * 257 for change in CHANGES} for name in HASHES}
        for row, name in enumerate(names):
            data = opened.read(name)
            square = square_pixels(decode_image(data, StreamSettings(), name, side), side)
            for kind, taken in HASHES.items():
                bits[kind].append(taken(square))
            if row in chosen:
                original = decode_image(data, StreamSettings(), name)
                for change, made in CHANGES.items():
                    copy = square_pixels(made(original), side)
                    for kind, taken in HASHES.items():
                        apart[kind][change][_apart(bits[kind][-1], taken(copy))] += 1
    categories = [str(_without_half(name).parent) for name in names]
    numbers = np.unique(categories, return_inverse=True)[1]
    return {
        "pictures": len(names),
        "plain": sum(not one.any() for one in bits["16 x 16 frequencies"]),
        "copies": len(chosen),
        "copies apart": apart,
        "pairs apart": {kind: pairs_apart(np.stack(found), numbers) for kind, found in bits.items()},
    }


def pairs_apart(bits: Bits, categories: NDArray[np.int64]) -> dict[str, list[int]]:
    """Return how many pairs are 0, 1, 2, ... bits apart, of one category and of different ones."""
    counts = {"same": np.zeros(257, dtype=int), "other": np.zeros(257, dtype=int)}
    for row in range(1, len(bits)):
        distances = np.bitwise_count(bits[row] ^ bits[:row]).sum(axis=1, dtype=np.int64)
        same = categories[:row] == categories[row]
        for whose, own in (("same", same), ("other", ~same)):
            counts[whose] += np.bincount(distances[own], minlength=257)
    return {whose: found.tolist() for whose, found in counts.items()}


def search_seconds(seed: int) -> dict[str, float]:
    """Return how long the search of new images among known ones takes; random codes, which takes no less."""
    random = np.random.default_rng(seed)
    known = random.integers(0, 2**64, (KNOWN, WORDS), dtype=np.uint64)
    new = random.integers(0, 2**64, (NEW, WORDS), dtype=np.uint64)
    wall, processor = time.perf_counter(), time.process_time()
    nearest(new, known)
    return {
        "wall": round(time.perf_counter() - wall, 2),
        "processor": round(time.process_time() - processor, 2),
    }


def table(result: Mapping[str, Any]) -> str:
    """Return the tables of one run."""
    versions = ", ".join(f"{name} {value}" for name, value in result["environment"].items())
    lines = [f"Machine and versions: {versions}."]
    for name, found in result["archives"].items():
        lines += _archive_lines(name, found)
    heads = [f"bits, {name}; mistakes" for name in result["archives"]]
    rows = [
        f"| {kind} | {' | '.join(_least_bits(found, kind) for found in result['archives'].values())} |"
        for kind in HASHES
    ]
    seconds = result["seconds"]
    return "\n".join([
        *lines, "",
        f"Bits that find {WANTED:.0%} of the copies trimmed by 2 %, and pairs of different categories within "
        "them:",
        "", f"| | {' | '.join(heads)} |", f"|---|{'---:|' * len(heads)}", *rows, "",
        f"Looking for {NEW:,} new images among {KNOWN:,}: {seconds['processor']:g} s of one processor "
        f"({seconds['wall']:g} s by the clock, on a busy machine).",
    ])  # fmt: skip


def _archive_lines(name: str, found: Mapping[str, Any]) -> list[str]:
    heads = [f"at most {most} bits" + (" (used)" if most == NEAR_BITS else "") for most in THRESHOLDS]
    copies, pairs = (found[key]["16 x 16 frequencies"] for key in ("copies apart", "pairs apart"))
    shares = {change: [_within(counts, most) / found["copies"] for most in THRESHOLDS]
              for change, counts in copies.items()}  # fmt: skip
    near = {whose: [_within(counts, most) for most in THRESHOLDS] for whose, counts in pairs.items()}
    return [
        "",
        f"**{name}**: {found['pictures']:,} pictures, {found['copies']:,} of them copied; {found['plain']} "
        "too plain to compare.",
        "",
        f"| | {' | '.join(heads)} |",
        f"|---|{'---:|' * len(heads)}",
        *(f"| {change} | {_cells(values, '.1%')} |" for change, values in shares.items()),
        f"| pairs of different categories, of {sum(pairs['other']):,} | {_cells(near['other'], ',')} |",
        f"| pairs of one category, of {sum(pairs['same']):,} | {_cells(near['same'], ',')} |",
    ]


def _least_bits(found: Mapping[str, Any], kind: str) -> str:
    """Return the least limit that finds most trimmed copies, and how many pairs are within it by mistake."""
    copies = found["copies apart"][kind]["trimmed by 2 %"]
    least = next(most for most in range(BITS) if _within(copies, most) >= WANTED * found["copies"])
    return f"{least}; {_within(found['pairs apart'][kind]['other'], least):,}"


def _within(counts: Sequence[int], most: int) -> int:
    return sum(counts[: most + 1])


def _apart(one: Bits, other: Bits) -> int:
    return int(np.bitwise_count(one ^ other).sum())


def _without_half(name: str) -> PurePosixPath:
    """Return the path without ``train`` or ``test``, so that both halves of a category are one."""
    path = PurePosixPath(name)
    return PurePosixPath(*path.parts[1:]) if path.parts[0] in ("train", "test") else path


def _cells(values: Sequence[float], form: str) -> str:
    return " | ".join(format(value, form) for value in values)


def main(arguments: Sequence[str]) -> None:
    """Measure and print, or render what was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.near_copies", description=__doc__)
    shared = Path(os.environ.get("CDML_TEST_DATA", "../shared"))
    parser.add_argument("--data", type=Path, default=shared / "data", help="folder of the archives")
    parser.add_argument("--copies", type=int, default=1000, help="pictures of each archive to copy")
    parser.add_argument("--seed", type=int, default=0)
    add_recording(parser, RESULTS, DOCUMENT)
    options = parser.parse_args(arguments)
    if options.render:
        replace_tables(DOCUMENT, TABLES, table(read_results(RESULTS)[-1]))
        return
    result = {
        "environment": environment(),
        "archives": {
            name: measure(options.data / file, side, options.copies, options.seed)
            for name, (file, side) in ARCHIVES.items()
        },
        "seconds": search_seconds(options.seed),
    }
    print(table(result))
    if options.record:
        append_result(RESULTS, result)


if __name__ == "__main__":
    main(sys.argv[1:])
