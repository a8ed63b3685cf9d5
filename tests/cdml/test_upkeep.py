"""Looking after a workspace from Python: back, named, deleted, checked, saved."""

import pytest

import cdml


def test_a_generation_is_named_left_and_brought_back(site, arrows):
    workspace = site.workspace
    assert workspace.tag("good") == 2
    assert workspace.add(arrows).generation == 3
    assert workspace.rollback("good") == 2
    assert [(one.generation_id, one.live, one.tags) for one in workspace.generations()][1:] == [
        (2, True, ("good",)),
        (3, False, ()),
    ]
    assert workspace.rollback(3) == 3
    workspace.untag("good")
    with pytest.raises(cdml.UnknownChoice, match="good"):
        workspace.rollback("good")


def test_images_are_deleted_by_number_category_or_filter(site):
    workspace = site.workspace
    nearest = workspace.query(site.image, 1).neighbours[0]
    looked_at = workspace.delete([nearest.item_id], dry_run=True)
    assert (looked_at.gallery, looked_at.generation) == (1, None)
    assert workspace.delete([nearest.item_id]).generation == 3
    assert nearest.item_id not in {one.item_id for one in workspace.query(site.image, 500).neighbours}
    gone = workspace.delete(categories=[nearest.category])
    assert gone.generation == 4
    assert dict(gone.categories) == {nearest.category: 7}
    left = workspace.delete(where="task = 'latin'", purge=True)
    assert left.held == 0
    assert {one.task for one in workspace.query(site.image, 500).neighbours} == {"greek"}
    assert workspace.delete(where="task = 'latin'").generation is None


def test_what_to_delete_is_named_in_one_way(learned):
    for named in ({}, {"item_ids": [1], "where": "id = 1"}):
        with pytest.raises(cdml.SettingsError, match="by one of: item_ids, categories, where"):
            learned.workspace.delete(**named)
    with pytest.raises(cdml.UnknownItem):
        learned.workspace.delete([999])
    with pytest.raises(cdml.UnknownChoice, match="unknown category"):
        learned.workspace.delete(categories=["owl"])


def test_a_workspace_is_checked_and_repaired(site, listener):
    assert site.workspace.verify(deep=True).problems == []
    copy = next(path for path in (site.workspace.path / "queries").rglob("*") if path.is_file())
    copy.unlink()
    assert len(site.workspace.verify().problems) == 1
    assert site.workspace.verify(repair=True, progress=listener).problems == []
    assert any(note.startswith("repaired: ") for note in listener.notes)


def test_a_backup_is_a_workspace_again(site, tmp_path):
    assert len(site.workspace.backup(tmp_path / "all.tar")) == 64
    again = cdml.Workspace.restore(tmp_path / "all.tar", tmp_path / "again")
    assert again.query(site.image, 3) == site.workspace.query(site.image, 3)
    with pytest.raises(cdml.WorkspaceError, match="exists already"):
        site.workspace.backup(tmp_path / "all.tar")


def test_counts_are_there_at_once(learned):
    status = learned.workspace.status()
    assert (status.tasks, status.categories) == (2, 8)
    assert status.gallery.catalogued + status.queries.catalogued == 64
