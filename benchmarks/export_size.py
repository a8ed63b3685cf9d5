"""``cdml export`` of large galleries: time and peak memory, which must not grow with the number of items.

    python -m benchmarks.export_size --items 100000,400000

A workspace of drawn characters is multiplied, with noise, to each number of items, and exported with its
features. Peak memory counts what is mapped of the gallery's own files.
"""

from __future__ import annotations

import argparse
import tempfile
from multiprocessing import get_context
from pathlib import Path

from benchmarks.large_refresh import cdml, multiply
from streams.glyphs import render_task

FILES = ("items.parquet", "items.npz")


def main() -> None:
    """Print a line for each number of items and each format."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", default="50000,200000")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        render_task("latin", home / "latin", categories=20, samples_per_category=10, side_pixels=32)
        model = ("--backbone", "conv4", "--weights", "none", "--embedding-dim", "64", "--image-side", "32")
        cdml(home, "init", *model)
        cdml(home, "ingest-task", str(home / "latin"), "--steps", "3", "--min-recall", "0")
        for items in map(int, given.items.split(",")):
            # In a process of its own: the peak of a child begins at what its parent holds.
            growing = get_context("spawn").Process(target=multiply, args=(home, items))
            growing.start()
            growing.join()
            for name in FILES:
                done = cdml(home, "export", str(home / name), "--features")
                size = (home / name).stat().st_size
                print(
                    f"{items:>9,} items  {name:13}  {done.clock:6.1f} s  {size / 2**20:8.0f} MiB  "
                    f"peak {done.peak:6.0f} MB",
                    flush=True,
                )
                (home / name).unlink()


if __name__ == "__main__":
    main()
