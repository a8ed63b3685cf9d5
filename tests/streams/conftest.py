"""Small images and a listener that writes down what it is told."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


class RecordingListener:
    """A ``ProgressListener`` for tests."""

    def __init__(self):
        self.stages = []
        self.units = 0
        self.notes = []

    def start(self, stage, total):
        self.stages.append((stage, total))

    def advance(self, units=1, detail=""):
        self.units += units

    def note(self, message):
        self.notes.append(message)


@pytest.fixture
def listener():
    return RecordingListener()


@pytest.fixture
def save_image():
    """Save a small picture of random blocks, a different one for each number."""

    def save(path: Path, number: int = 0, size: int = 24) -> Path:
        blocks = np.random.default_rng(number).integers(0, 256, (4, 4, 3), dtype=np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(blocks).resize((size, size), Image.Resampling.NEAREST).save(path)
        return path

    return save
