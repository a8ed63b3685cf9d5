"""Many questions from several threads, while images are added: one session for all of them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import cdml
from streams.glyphs import render_task


def main(folder: Path) -> None:
    """Ask for arrows before and after others like them are added, without opening the workspace again."""
    render_task("latin", folder / "latin", categories=8, samples_per_category=12, side_pixels=32)
    render_task("arrows", folder / "arrows", categories=8, samples_per_category=12, side_pixels=32)
    workspace = cdml.Workspace.create(
        folder / "workspace", weights="none", backbone="conv4", image_side=24, flip=False
    )
    workspace.ingest_task(folder / "latin", steps=60, learning_rate=3e-3)
    questions = []
    for path in sorted((folder / "arrows").rglob("0000.png")):  # one of each arrow, which is not added
        questions.append(path.read_bytes())
        path.unlink()

    with workspace.searcher() as searcher, ThreadPoolExecutor(4) as threads:

        def ask(image: bytes) -> cdml.Answer:
            return searcher.query(image, k=1)

        def told(answers: list[cdml.Answer]) -> str:
            tasks = [answer.neighbours[0].task for answer in answers]
            right = tasks.count("arrows")
            return (
                f"generation {answers[0].generation}: {right} of {len(tasks)} arrows are most like an arrow"
            )

        print(told(list(threads.map(ask, questions))))
        workspace.add(folder / "arrows")  # embedded by the live model, nothing is trained
        print(told(list(threads.map(ask, questions))))

        only = searcher.query(questions[0], k=3, where="task = 'latin'", threshold=False)
        print("among letters alone:", [one.category for one in only.neighbours])

        vectors = searcher.embed(questions)  # (8, 128), unit length
        cosines = vectors @ vectors.T
        print(f"the two arrows most alike have a cosine of {(cosines - 2 * np.eye(8)).max():.2f}")


if __name__ == "__main__":
    with TemporaryDirectory() as directory:
        main(Path(directory))
