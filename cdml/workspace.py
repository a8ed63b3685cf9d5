"""A workspace from Python: learn tasks, ask, and read what was gained and forgotten."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, final

from cdml.learning import Learning
from cdml.logged_progress import told
from cdml.searching import Searcher, query_once
from cdml.upkeep import Upkeep
from continual_dml.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cdml.answers import Answer
    from cdml.embedder import Embedder
    from continual_dml.ports import ProgressListener
    from streams.given_images import GivenImage


@final
class Workspace(Learning, Upkeep):
    """One folder with a model, a searchable gallery and their history. :meth:`create` or :meth:`open` it.

    An object holds paths and settings, no file and no model: keep it, copy it, use it from several threads.
    One writer works in a workspace at a time, in whatever process or thread; a second one gets
    :class:`cdml.WorkspaceLocked` at once. Readers are never blocked and never see half of a change: queries
    are answered by the generation that is live, a new one goes live as a whole or not at all.

    Nothing is printed. ``progress`` is a :class:`cdml.ProgressListener`; without one, stages and notes go to
    the logger ``cdml``.
    """

    def __repr__(self) -> str:
        return f"cdml.Workspace({str(self.path)!r})"

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        *,
        weights: str | os.PathLike[str] | None = None,
        backbone: str | None = None,
        image_side: int | None = None,
        embedding_dim: int | None = None,
        flip: bool | None = None,
        settings: Settings | None = None,
        cohort_weights: Sequence[str | os.PathLike[str]] = (),
        database_url: str | None = None,
        keep_generations: int = 1,
        index: str = "flat",
    ) -> Workspace:
        """Make a workspace. The network and where it starts stay as they are for its life.

        Args:
            path: a folder that does not exist or is empty.
            weights: where the backbone starts: ``"imagenet"`` downloads torchvision's weights unless they are
                in torch's cache folder, ``"none"`` starts from scratch, a path is a safetensors or ``.pth``
                file. None takes ImageNet's from the cache folder, without a download; or scratch, where
                ``settings.model.pretrained`` is False.
            backbone: ``conv4`` or any torchvision classifier; by default ``mobilenet_v2``.
            image_side: side in pixels that the network sees, by default 224.
            embedding_dim: length of an embedding, by default 128.
            flip: train on mirrored images too, as by default; not for written characters.
            settings: everything else; what is given by name wins.
            cohort_weights: as ``weights``, for each further member of a cohort.
            database_url: of the catalogue, such as ``postgresql+psycopg://...``; None for SQLite.
            keep_generations: how many generations stay on disk to go back to.
            index: how vectors are searched; see ``cdml init --help``.

        Raises:
            SettingsError: a network, weights, or a value that cannot work.
            WorkspaceError: the folder is taken.
            CatalogError: the database cannot be used.
        """
        from cli.wiring import create_workspace

        chosen = settings or Settings()
        start = None if weights is None else os.fspath(weights)
        if start is None and not chosen.model.pretrained:
            start = "none"
        model, training = chosen.model, chosen.training
        model = replace(
            model,
            pretrained=start != "none",
            backbone=model.backbone if backbone is None else backbone,
            image_side_pixels=model.image_side_pixels if image_side is None else image_side,
            embedding_dim=model.embedding_dim if embedding_dim is None else embedding_dim,
        )
        training = replace(training, flip=training.flip if flip is None else flip)
        chosen = replace(chosen, model=model, training=training)
        further = [os.fspath(one) for one in cohort_weights]
        return cls(
            create_workspace(Path(path), chosen, database_url, start, further, keep_generations, index)
        )

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Workspace:
        """Open an existing workspace.

        Args:
            path: its folder.

        Raises:
            WorkspaceError: there is none, or its ``cdml.toml`` is damaged.
        """
        from cli.wiring import open_workspace

        return cls(open_workspace(Path(path)))

    @classmethod
    def restore(
        cls,
        archive: str | os.PathLike[str],
        path: str | os.PathLike[str],
        *,
        database_url: str | None = None,
        progress: ProgressListener | None = None,
    ) -> Workspace:
        """Make a workspace of what :meth:`backup` wrote.

        Args:
            archive: the file.
            path: a folder that does not exist or is empty.
            database_url: of an empty database for the catalogue; None for SQLite.
            progress: told of each file.

        Raises:
            WorkspaceError: the folder is taken, or the archive cannot be read.
            GalleryError: the archive is not whole.
            CatalogError: the database refuses or is not empty.
        """
        from storage.backup import restore

        return cls(restore(Path(archive), Path(path), database_url, told(progress)))

    def query(
        self,
        image: GivenImage,
        k: int = 10,
        *,
        where: str | None = None,
        threshold: bool = True,
        device: str = "auto",
    ) -> Answer:
        """Find the gallery images most like ``image``.

        The model is loaded for each call; :meth:`searcher` keeps it.

        Args:
            image: a path, the bytes of a file, a Pillow image, an array (H, W, 3) uint8 in RGB, or a tensor
                (3, H, W), uint8 or floats within 0..1.
            k: how many.
            where: which images may answer, such as ``"category in ('owl', 'lark') and task = 'birds'"``.
            threshold: judge whether the nearest is near enough; without it every query is answered.
            device: where to compute, ``auto``, ``cpu`` or ``cuda``.

        Raises:
            UnreadableImage: a file that is no usable image.
            StreamError: something else that is no image.
            CatalogError: nothing is learned yet.
            SettingsError: no filter, no such device, or ``k`` below 1.
            GalleryError: the live generation is damaged.
        """
        return self.query_many([image], k, where=where, threshold=threshold, device=device)[0]

    def query_many(
        self,
        images: Iterable[GivenImage],
        k: int = 10,
        *,
        where: str | None = None,
        threshold: bool = True,
        device: str = "auto",
    ) -> list[Answer]:
        """Answer several queries from one generation; arguments and errors as of :meth:`query`.

        A batch (n, H, W, 3), or of tensors (n, 3, H, W), is several images.
        """
        return query_once(self._stored, images, k, where, device, threshold=threshold)

    def searcher(self, device: str = "auto", *, follow: bool = True) -> Searcher:
        """Return a session for many queries; to be used, and arguments, as :class:`cdml.Searcher` says."""
        return Searcher(self._stored, device, follow=follow)

    def embedder(self, device: str = "cpu") -> Embedder:
        """Return the live model as a PyTorch module; arguments as of :meth:`cdml.Embedder.open`."""
        from cdml.embedder import Embedder

        return Embedder.open(self._stored, device)

    def embed(self, images: Iterable[GivenImage], *, device: str = "auto") -> NDArray[np.float32]:
        """Return unit vectors (n, D) that images are searched with; arguments as of :meth:`query_many`."""
        with self.searcher(device) as searcher:
            return searcher.embed(images)
