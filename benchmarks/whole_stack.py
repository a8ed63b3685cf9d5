"""A tool for tasks of images as one writes it first: all that any command needs is imported at its top.

``python -m benchmarks.whole_stack --help``, ``status CATALOG`` and ``tasks CATALOG`` run in the environment
of the peers, beside the commands of those names (``benchmarks/rows/commands.py``).
"""

from __future__ import annotations

import argparse
import json

import faiss
import sqlalchemy
import torch

from continual_dml.embedding.torchvision_guard import import_torchvision

torchvision = import_torchvision()
import avalanche  # noqa: E402 - it imports torchvision, which may need the guard

LIBRARIES = (avalanche, faiss, sqlalchemy, torch, torchvision)
COUNT = (
    "SELECT task.name, count(item.item_id) FROM task JOIN item USING (task_id) "
    "WHERE item.role = 'gallery' GROUP BY task.task_id ORDER BY task.task_id"
)


def main() -> None:
    """Print what the tasks of a catalogue are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=("status", "tasks"))
    parser.add_argument("catalog")
    options = parser.parse_args()
    with sqlalchemy.create_engine(f"sqlite:///{options.catalog}").connect() as connection:
        tasks = [
            {"name": name, "train_images": count}
            for name, count in connection.execute(sqlalchemy.text(COUNT))
        ]
    if options.command == "status":
        print(json.dumps({"tasks": len(tasks), "gallery": sum(task["train_images"] for task in tasks)}))
    else:
        print(json.dumps({"tasks": tasks}))


if __name__ == "__main__":
    main()
