"""Two tasks learned one after the other, a query, and what was forgotten. Draws its own pictures.

Run it anywhere: it works in a temporary folder, needs no network and no GPU, and takes a few seconds.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import cdml
from streams.glyphs import render_task


def main(folder: Path) -> None:
    """Learn Latin letters, then Greek ones, and ask with a letter of each."""
    for alphabet in ("latin", "greek"):  # folder/latin/latin-capital-a/0000.png and so on
        render_task(alphabet, folder / alphabet, categories=8, samples_per_category=20, side_pixels=32)
        render_task(alphabet, folder / "new", categories=8, samples_per_category=1, side_pixels=32, seed=1)

    workspace = cdml.Workspace.create(
        folder / "workspace",
        weights="none",  # from scratch; for photos: weights="imagenet", and leave the next three out
        backbone="conv4",
        image_side=24,
        flip=False,  # a mirrored letter is another letter
    )
    for alphabet in ("latin", "greek"):
        learned = workspace.ingest_task(folder / alphabet, steps=80, learning_rate=3e-3)
        plan = learned.plan
        print(
            f"{plan.name}: learned {plan.gallery_images} images of {len(plan.new_categories)} categories, "
            f"held out {plan.query_images} to ask with; generation {learned.generation} is live"
        )

    with workspace.searcher() as searcher:
        for letter in ("latin-capital-g", "greek-capital-delta"):
            picture = folder / "new" / letter / "0000.png"
            answer = searcher.query(picture, k=3, threshold=False)  # so few pictures make no good threshold
            print(f"a new picture of {letter} is most like {answer.category}:")
            for one in answer.neighbours:
                print(f"  {one.similarity:.2f} {one.category}, image {one.item_id} of task {one.task}")

    report = workspace.report()
    print("Recall@1      " + "  ".join(report.tasks))
    for task, row in zip(report.tasks, report.recall_matrix().rows, strict=True):
        print(f"after {task}:  " + "   ".join(f"{value:.2f}" for value in row))
    print(f"on average {report.recall():.2f}, forgotten {report.forgetting():.2f}")


if __name__ == "__main__":
    with TemporaryDirectory() as directory:
        main(Path(directory))
