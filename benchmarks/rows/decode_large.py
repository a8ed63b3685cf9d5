"""JPEG files of 6 megapixels to normalised batches, against a DataLoader with Pillow and torchvision.

A camera's photo is far larger than what a network sees. Ours lets the decoder leave out what the resizing
would throw away; a user can ask Pillow for that too, which the last arm does.
"""

from __future__ import annotations

from benchmarks.rows.decode_small import APART, against, prepare
from benchmarks.side_by_side.answers import mean_apart
from benchmarks.side_by_side.rows import Row, Target

ROWS = (
    Row(
        name="decode_large",
        title="JPEG to batch tensor, 6 megapixels",
        unit="images",
        arms=against("DataLoader", "DataLoader, best settings", "DataLoader, best settings and draft"),
        targets=(
            Target(against="DataLoader", at_least=4.0),
            Target(against="DataLoader, best settings", at_least=4.0),
            Target(against="DataLoader, best settings and draft", at_least=1.0),
        ),
        same=mean_apart(APART),
        prepare=prepare,
        sizes={"photos": 64, "megapixels": 6.0, "stored": 252, "side": 224},
        quick={"photos": 16},
    ),
)
