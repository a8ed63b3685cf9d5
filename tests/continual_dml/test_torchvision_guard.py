"""torchvision comes without torch's compiler, which is there all the same for whoever asks for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import continual_dml

ROOT = Path(continual_dml.__file__).parent.parent
PROGRAM = """
import sys
import torch
from continual_dml.embedding.torchvision_guard import import_torchvision

torchvision = import_torchvision()
assert "torch._dynamo" not in sys.modules
assert torchvision.models.mobilenet_v2 is not None

# Rows and columns 0 to 3 of a ramp, in four quarters: each is the mean of the ramp over its quarter.
ramp = torch.arange(16.0).reshape(1, 1, 4, 4)
box = torch.tensor([[0.0, 0.0, 0.0, 3.0, 3.0]])
found = torchvision.ops.roi_align(ramp, box, 2)
assert torch.equal(found, torch.tensor([[[[3.75, 5.25], [9.75, 11.25]]]])), found

import torch._dynamo.utils
assert torch._dynamo.utils.is_compile_supported.__module__ == "torch._dynamo.utils"
assert import_torchvision() is torchvision
"""


def test_torchvision_is_imported_without_the_compiler_and_works_with_it():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
