"""Going back to an earlier generation, names that keep one, and what is collected."""

from __future__ import annotations

import re
from contextlib import closing

import pytest
from sqlalchemy import func, select

from continual_dml.errors import CatalogError, CorruptIndex, SettingsError, UnknownChoice
from storage.catalog.engine import Database
from storage.catalog.tables import Base
from storage.generations import read_generations
from storage.reader import WorkspaceReader
from storage.store import WorkspaceStore
from storage.workspace import Workspace


@pytest.fixture
def three(tmp_path, small_settings, publish):
    """A workspace that keeps three generations and has published that many."""
    workspace = Workspace.create(tmp_path / "three", small_settings, keep_generations=3)
    with WorkspaceStore(workspace) as store:
        for name in ("birds", "cars", "tools"):
            publish(store, name, tmp_path / name)
    return workspace


def live(workspace):
    with WorkspaceReader(workspace) as reader:
        return reader.generation.generation_id, [task.name for task in reader.tasks()]


def kept(workspace):
    return [one.generation_id for one in read_generations(workspace) if one.kept]


def rows(workspace):
    with (
        closing(Database(workspace.database_url, read_only=True)) as database,
        database.transaction() as connection,
    ):
        tables = Base.metadata.sorted_tables
        return {t.name: connection.execute(select(func.count()).select_from(t)).scalar() for t in tables}


def test_a_rollback_brings_back_model_gallery_and_catalogue_as_they_were(three):
    with WorkspaceReader(three) as reader:
        assert len(reader.index()) == 9
    with WorkspaceStore(three) as store:
        assert store.rollback(2).generation_id == 2
        assert sorted(store.category_ids()) == ["birds", "cars"]
    assert live(three) == (2, ["birds", "cars"])
    with WorkspaceReader(three) as reader:
        assert len(reader.index()) == 6
        assert reader.artefacts.read_tensors("model.safetensors")["weight"][0, 0] == 2


def test_a_rollback_can_be_undone_until_something_is_published(three, publish, tmp_path):
    with WorkspaceStore(three) as store:
        store.rollback(1)
    assert kept(three) == [1, 2, 3]
    with WorkspaceStore(three) as store:
        store.rollback(3)
    assert live(three) == (3, ["birds", "cars", "tools"])
    with WorkspaceStore(three) as store:
        store.rollback(2)
        publish(store, "maps", tmp_path / "maps")
    assert live(three) == (4, ["birds", "cars", "maps"])
    assert kept(three) == [1, 2, 4]
    assert len(list(three.queries_dir.rglob("*/*"))) == 3, "the query image of what was undone is gone"


def test_rows_of_what_was_undone_never_come_back_and_are_forgotten_with_its_files(three, publish, tmp_path):
    before = rows(three)
    with WorkspaceStore(three) as store:
        store.rollback(2)
        publish(store, "tools", tmp_path / "other")  # the name of the undone task's category is free again
        assert sorted(store.category_ids()) == ["birds", "cars", "tools"]
    assert [one.generation_id for one in read_generations(three)] == [1, 2, 4]
    after = rows(three)
    assert after.pop("run") == before.pop("run") + 1, "numbers of generations are never used again"
    assert after == before


def test_a_rollback_to_the_live_generation_changes_nothing(three):
    with WorkspaceStore(three) as store:
        assert store.rollback(3) == store.head()
    assert live(three)[0] == 3


def test_only_a_generation_that_was_published_and_is_kept_can_come_back(workspace, publish, tmp_path):
    with WorkspaceStore(workspace) as store:
        with pytest.raises(CatalogError, match="holds no task yet"):
            store.rollback(1)
        publish(store, "birds", tmp_path / "birds")
        publish(store, "cars", tmp_path / "cars")
        with pytest.raises(UnknownChoice, match="unknown generation '7'"):
            store.rollback(7)
        with pytest.raises(CatalogError, match="generation 1 are not kept any more.*keep_generations"):
            store.rollback(1)
    assert live(workspace)[0] == 2


def test_a_damaged_generation_does_not_come_back(three):
    victim = three.generation_dir(1) / "model.safetensors"
    content = bytearray(victim.read_bytes())
    content[-1] ^= 1
    victim.write_bytes(content)
    with WorkspaceStore(three) as store, pytest.raises(CorruptIndex, match=r"model\.safetensors"):
        store.rollback(1)
    assert live(three)[0] == 3


@pytest.mark.parametrize("step", ["before-commit", "committed"])
def test_a_crash_during_a_rollback_leaves_the_one_generation_or_the_other(three, step, crash_at):
    crash = crash_at(step)
    with pytest.raises(crash), WorkspaceStore(three) as store:
        store.rollback(2)
    expected = {"before-commit": (3, 9), "committed": (2, 6)}[step]
    with WorkspaceReader(three) as reader:
        assert (reader.generation.generation_id, len(reader.index())) == expected


def test_a_reader_goes_on_with_the_generation_that_it_opened(three):
    with WorkspaceReader(three) as reader:
        with WorkspaceStore(three, kept_generations=1) as store:
            store.tag("first", 3)
        with WorkspaceStore(three, kept_generations=1) as store:
            store.untag("first")
        assert len(reader.index()) == 9
        assert reader.generation.generation_id == 3


def test_a_tag_keeps_a_generation(three, publish, tmp_path):
    with WorkspaceStore(three) as store:
        store.tag("v1.0", 1)
        assert store.resolve("v1.0") == 1
    with WorkspaceStore(three, kept_generations=1) as store:
        publish(store, "maps", tmp_path / "maps")
    assert kept(three) == [1, 4]
    with WorkspaceStore(three, kept_generations=1) as store:
        store.rollback(store.resolve("v1.0"))
    assert live(three) == (1, ["birds"])


def test_a_tag_moves_and_goes(three):
    with WorkspaceStore(three) as store:
        store.tag("good", 1)
        store.tag("good", 2)
        assert [one.tags for one in read_generations(three)] == [(), ("good",), ()]
        store.untag("good")
        with pytest.raises(UnknownChoice, match="unknown tag 'good'"):
            store.untag("good")
        with pytest.raises(UnknownChoice, match="unknown tag 'good'"):
            store.resolve("good")
        with pytest.raises(UnknownChoice, match="unknown generation '9'"):
            store.tag("good", 9)


@pytest.mark.parametrize("name", ["", "12", "-x", "a b", "../a", "x" * 65, "ä"])
def test_a_name_that_could_be_taken_for_something_else_is_refused(three, name):
    with WorkspaceStore(three) as store, pytest.raises(SettingsError, match="cannot be a tag"):
        store.tag(name, 3)


def test_the_log_tells_what_each_generation_is(three):
    with WorkspaceStore(three) as store:
        store.tag("good", 2)
        store.rollback(2)
    first, second, third = read_generations(three)
    assert (first.task, first.parent_id, first.images, first.live, first.in_lineage) == (
        "birds",
        None,
        3,
        False,
        True,
    )
    assert (second.task, second.parent_id, second.images, second.live, second.tags) == (
        "cars",
        1,
        6,
        True,
        ("good",),
    )
    assert (third.live, third.in_lineage, third.kept) == (False, False, True)
    assert first.recall_at_1 is None, "no query of it had anything to find"
    assert third.bytes_on_disk == sum(f.stat().st_size for f in three.generation_dir(3).iterdir())


def test_a_workspace_without_a_task_has_no_log(workspace):
    assert read_generations(workspace) == []


def test_how_much_is_kept_is_written_in_the_workspace_and_may_be_edited(three, publish, tmp_path):
    text = three.settings_file.read_text()
    assert "[storage]\nkeep_generations = 3" in text
    three.settings_file.write_text(text.replace("keep_generations = 3", "keep_generations = 2"))
    with WorkspaceStore(Workspace.open(three.root)):
        pass
    assert kept(three) == [2, 3]


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("[storage]\nkeep_generations = 0", "keep_generations is 0; it must be a whole number from 1"),
        ("[storage]\nkeep_generations = true", "keep_generations is True"),
        ("[storage]\nkeep_generation = 2", "did you mean keep_generations"),
    ],
)
def test_a_wrong_storage_section_is_named(three, section, words):
    text = three.settings_file.read_text().replace("[storage]\nkeep_generations = 3", section)
    three.settings_file.write_text(text)
    with pytest.raises(SettingsError, match=words):
        Workspace.open(three.root)


def test_a_workspace_made_before_there_was_such_a_section_keeps_the_live_generation_alone(three):
    text = re.sub(r"\[storage\]\n(?:.+\n)+", "", three.settings_file.read_text())
    assert "keep_generations" not in text
    three.settings_file.write_text(text)
    assert Workspace.open(three.root).keep_generations == 1
