"""What can be done with a workspace as it is: look at it, go back, name, delete, check, save."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cdml.logged_progress import told
from cdml.reports import Report
from cdml.stored import StoredWorkspace, named

if TYPE_CHECKING:
    from cli.deletions import DeleteOutcome
    from continual_dml.ports import ProgressListener
    from continual_dml.records import TaskSummary
    from storage.generations import GenerationEntry
    from storage.summary import StatusSummary
    from storage.verification import Verification


class Upkeep(StoredWorkspace):
    """The half of :class:`cdml.Workspace` that learns nothing; most of it answers at once.

    A generation is named by its number or by a tag. Methods that look raise :class:`cdml.CatalogError` where
    the catalogue cannot answer; those that change something also :class:`cdml.WorkspaceLocked` where another
    writer is at work.
    """

    def status(self) -> StatusSummary:
        """Return counts of what it holds: tasks, categories, gallery and query images, bytes."""
        from storage.summary import read_status

        return read_status(self._stored)

    def tasks(self) -> list[TaskSummary]:
        """Return the tasks that the live generation has learned, oldest first; empty before the first."""
        from storage.summary import read_tasks

        return read_tasks(self._stored)

    def additions(self) -> list[TaskSummary]:
        """Return what was added without learning, oldest first."""
        from storage.summary import read_tasks_and_additions

        return read_tasks_and_additions(self._stored)[1]

    def generations(self) -> list[GenerationEntry]:
        """Return every generation that was published, oldest first, whether its files are kept or not."""
        from storage.generations import read_generations

        return read_generations(self._stored)

    def report(self, generation: int | str | None = None) -> Report:
        """Return what was gained and what was forgotten.

        Args:
            generation: its number or a tag; None for the live one.

        Raises:
            CatalogError: nothing is learned yet, or the files are not kept any more.
            UnknownChoice: there is no such generation.
            GalleryError: the report is damaged.
        """
        from storage.summary import live_generation, read_report

        found = read_report(self._stored, named(generation))
        live = generation is None or found["generation"] == live_generation(self._stored)
        return Report(found, live)

    def report_page(self, generation: int | str | None = None) -> bytes:
        """Return the same as one HTML file in UTF-8 with pictures, which needs no other file and no network.

        The one that was published with the generation; where there is none, one that is drawn now. Arguments
        and errors as of :meth:`report`.
        """
        from cli.report_pages import report_page

        return report_page(self._stored, named(generation))

    def rollback(
        self, generation: int | str | None = None, *, progress: ProgressListener | None = None
    ) -> int:
        """Make an earlier generation live again, model, gallery and catalogue together; can be undone.

        Args:
            generation: its number or a tag; None for the parent of the live one.
            progress: told what could not be tidied up.

        Returns:
            The number of the generation that is live now.

        Raises:
            CatalogError: there is nothing to go back to, or its files are not kept any more.
            UnknownChoice: there is no such generation.
            GalleryError: its files are damaged; nothing changed.
        """
        from cli.housekeeping import run_rollback

        return run_rollback(self._stored, named(generation), told(progress))[1].generation_id

    def promote(
        self, generation: int | str | None = None, *, progress: ProgressListener | None = None
    ) -> int:
        """Make a generation live that the quality gate refused; arguments and errors as of :meth:`rollback`.

        ``generation`` None takes the newest that was refused.
        """
        from cli.housekeeping import run_promote

        return run_promote(self._stored, named(generation), told(progress)).now.generation_id

    def tag(
        self, name: str, generation: int | str | None = None, *, progress: ProgressListener | None = None
    ) -> int:
        """Name a generation: it stays on disk as long as it has a name.

        Args:
            name: letters, digits, ``.``, ``_`` and ``-``; one that another generation has moves over.
            generation: its number or another tag; None for the live one.
            progress: told what could not be tidied up.

        Returns:
            The number of that generation.

        Raises:
            SettingsError: a name of other characters.
            UnknownChoice: there is no such generation.
        """
        from cli.housekeeping import run_tag

        return run_tag(self._stored, name, named(generation), told(progress))

    def untag(self, name: str, *, progress: ProgressListener | None = None) -> None:
        """Take a name away.

        Args:
            name: of a generation.
            progress: told what could not be tidied up.

        Raises:
            UnknownChoice: no generation has it.
        """
        from cli.housekeeping import run_untag

        run_untag(self._stored, name, told(progress))

    def delete(
        self,
        item_ids: Sequence[int] = (),
        *,
        categories: Sequence[str] = (),
        where: str | None = None,
        purge: bool = False,
        dry_run: bool = False,
        progress: ProgressListener | None = None,
    ) -> DeleteOutcome:
        """Take images out of gallery, queries and catalogue; their files outside the workspace stay.

        Name them in exactly one way.

        Args:
            item_ids: numbers, as neighbours have them.
            categories: all images of these.
            where: all images that this filter is true of, such as ``"task = 'birds'"``.
            purge: keep no earlier generation, so that no file of the workspace holds them.
            dry_run: change nothing, only say what would be deleted.
            progress: told what could not be tidied up.

        Returns:
            Counts; ``generation`` is the new one, None where nothing was done.

        Raises:
            SettingsError: images named in no way or in several, or no filter.
            UnknownItem: there is no image of a number.
            UnknownChoice: there is no such category.
            CatalogError: a tag keeps what is to be purged.
        """
        from cli.deletions import find_to_delete, run_delete
        from continual_dml.errors import SettingsError
        from storage.filters import parse_filter

        if sum(map(bool, (item_ids, categories, where))) != 1:
            raise SettingsError("say what to delete by one of: item_ids, categories, where")
        chosen = None if where is None else parse_filter(where)
        found = find_to_delete(self._stored, item_ids, categories, chosen, purge=purge)
        if dry_run or not found.item_ids:
            return found
        return run_delete(self._stored, found, told(progress))

    def verify(
        self, *, deep: bool = False, repair: bool = False, progress: ProgressListener | None = None
    ) -> Verification:
        """Read and hash every file of every generation and compare them with the catalogue.

        Args:
            deep: hash query images and initial weights as well, and have the database check itself.
            repair: first make again what can be made again; what was is told to ``progress``.
            progress: told of each generation.

        Returns:
            What was checked; ``problems`` is empty where all is whole.

        Raises:
            CatalogError: the catalogue cannot answer, and cannot be repaired.
        """
        from storage.verification import verify

        listener = told(progress)
        if repair:
            from cli.repairing import run_repair

            for done in run_repair(self._stored, listener):
                listener.note(f"repaired: {done}")
        return verify(self._stored, deep=deep, listener=listener)

    def backup(self, file: str | os.PathLike[str], *, progress: ProgressListener | None = None) -> str:
        """Write all of it into one new archive (tar), as it is at one moment, also while a writer is at work.

        Args:
            file: that is written; it must not exist.
            progress: told of each file.

        Returns:
            The archive's SHA-256.

        Raises:
            WorkspaceError: the file exists or cannot be written.
            GalleryError: a file of the workspace is damaged; nothing is written.
        """
        from storage.backup import back_up

        return back_up(self._stored, Path(file), told(progress)).sha256
