"""A search with a photo as one writes it first: load the model, load the index, embed, search, print.

``python -m benchmarks.cold_search FOLDER PHOTO`` runs in the environment of the peers, beside ``cdml query``
(``benchmarks/rows/warm_query.py``), which writes the model and the index of the same gallery.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import faiss
import numpy as np
import torch
from PIL import Image, ImageOps

from continual_dml.embedding.torchvision_guard import import_torchvision

import_torchvision()
from torchvision import transforms  # noqa: E402

K = 10


def main() -> None:
    """Print the ids of the ten nearest items."""
    folder, photo = Path(sys.argv[1]), sys.argv[2]
    about = json.loads((folder / "about.json").read_text())
    model = torch.jit.load(str(folder / "model.pt"))  # type: ignore[no-untyped-call]
    index = faiss.read_index(str(folder / "index.faiss"))
    side = about["side"]
    square = transforms.Compose(
        [transforms.Resize(side, transforms.InterpolationMode.BICUBIC), transforms.CenterCrop(side)]
    )
    picture = square(ImageOps.exif_transpose(Image.open(photo)).convert("RGB"))
    with torch.inference_mode():
        embedding, _ = model(torch.from_numpy(np.array(picture))[None])
    _, found = index.search(embedding.numpy(), K)
    print(json.dumps(found[0].tolist()))


if __name__ == "__main__":
    main()
