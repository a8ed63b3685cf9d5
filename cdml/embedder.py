"""A workspace's model as a PyTorch module."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from cdml.searching import check_device
from continual_dml.errors import StreamError
from continual_dml.settings import StreamSettings

if TYPE_CHECKING:
    from storage.workspace import Workspace
    from streams.given_images import GivenImage

_BATCH = 64


@final
class Embedder(nn.Module):
    """Image batches to the unit vectors that a workspace's gallery is searched with.

    :meth:`Workspace.embedder` loads one. All of it is inside: cropping, normalisation, the networks of a
    cohort, and the head. It is a copy in 32 bits, in evaluation mode, without gradients for its parameters;
    gradients for images flow. Vectors agree with the gallery's to five digits, or to two where those were
    computed in bfloat16 (``training.precision``, on processors that are faster with it).

    ::

        embedder = workspace.embedder("cuda")
        vectors = embedder(batch)                 # (B, 3, S, S) uint8, or floats within 0..1, to (B, D)
        vectors = embedder.embed(["a.jpg", "b.jpg"])   # (2, D), a numpy array

    Attributes:
        network: squares (B, S, S, 3) to unit vectors and features.
        generation: number of the generation that it was taken from; a newer one has another model, whose
            vectors must not be compared with these.
        dimension: D, length of a vector.
        image_side: side in pixels that the networks see.
        stored_side: side of the squares that images are resized to; their middle is what the networks see.
    """

    def __init__(
        self, network: nn.Module, generation: int, sides: tuple[int, int], limits: StreamSettings
    ) -> None:
        super().__init__()
        self.network = network
        self.generation = generation
        self.image_side, self.stored_side = sides
        self._limits = limits
        blank = torch.zeros(1, self.stored_side, self.stored_side, 3)
        with torch.inference_mode():
            self.dimension = int(network(blank)[0].shape[1])
        self.eval()

    @classmethod
    def open(cls, stored: Workspace, device: str = "cpu") -> Embedder:
        """Load the model of the live generation; :meth:`Workspace.embedder` calls this.

        Args:
            stored: a workspace with at least one task.
            device: where it shall compute, ``auto``, ``cpu`` or ``cuda``.

        Raises:
            CatalogError: nothing is learned yet.
            GalleryError: the live generation is damaged.
            SettingsError: the device is not there.
        """
        from cli.wiring import reading
        from continual_dml.embedding.precision import choose_compute
        from continual_dml.strategies.served import ServedModel
        from continual_dml.workflows.search import Searcher

        check_device(device)
        place = choose_compute(device, "fp32").device
        with reading(stored) as reader:
            searcher = Searcher.open(reader.artefacts, "cpu")
            number = reader.generation.generation_id
        network = ServedModel(searcher.embedders, searcher.head)
        model = stored.settings.model
        sides = (model.image_side_pixels, model.stored_side_pixels)
        embedder = cls(network, number, sides, stored.settings.streams)
        return embedder.to(device=place, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return unit vectors (B, D) float32.

        Args:
            images: (B, 3, S, S) RGB, uint8 or floats within 0..1, not normalised; S is ``stored_side``, of
                which the middle is looked at, or ``image_side``.

        Raises:
            StreamError: another shape.
        """
        self._check(images)
        squares = images.permute(0, 2, 3, 1)
        if images.is_floating_point():
            squares = squares.float() * 255.0
        border = self.stored_side - squares.shape[1]
        if border:  # the network cuts off what is added here
            before = border // 2
            squares = nn.functional.pad(squares, (0, 0, before, border - before, before, border - before))
        vectors: torch.Tensor = self.network(squares)[0]
        return vectors

    def preprocess(self, images: Iterable[GivenImage]) -> torch.Tensor:
        """Return images of any size as a batch (n, 3, stored_side, stored_side) uint8 for :meth:`forward`.

        Each is cut to its middle square and resized as the gallery's images are.

        Args:
            images: paths, bytes of files, Pillow images, arrays (H, W, 3) uint8, or tensors (3, H, W).

        Raises:
            StreamError: one of them is no usable image.
        """
        from streams.given_images import given_squares

        squares = given_squares(images, self.stored_side, self._limits)
        return torch.from_numpy(squares).permute(0, 3, 1, 2)

    def embed(self, images: Iterable[GivenImage]) -> NDArray[np.float32]:
        """Return the unit vectors (n, D) of images of any size; arguments as of :meth:`preprocess`."""
        batch = self.preprocess(images)
        device = next(self.network.buffers()).device
        with torch.inference_mode():
            parts = [self(part.to(device)).cpu().numpy() for part in torch.split(batch, _BATCH) if len(part)]
        return np.concatenate([np.empty((0, self.dimension), dtype=np.float32), *parts])

    def _check(self, images: torch.Tensor) -> None:
        sides = (self.stored_side, self.image_side)
        square = images.ndim == 4 and images.shape[1] == 3 and images.shape[2] == images.shape[3]
        if not square or images.shape[2] not in sides:
            raise StreamError(
                f"a batch of shape {tuple(images.shape)}; this embedder takes (B, 3, S, S) with S "
                f"{sides[0]} or {sides[1]}: `embedder.preprocess(images)` makes it of images of any size"
            )
        if not (images.is_floating_point() or images.dtype is torch.uint8):
            raise StreamError(f"a batch of {images.dtype}; pixels are uint8, or floats from 0 to 1")
