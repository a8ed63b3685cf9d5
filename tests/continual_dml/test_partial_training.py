"""Only the last stages are trained, on views that the frozen part has seen once."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from continual_dml.embedding.embedder import build_embedder
from continual_dml.embedding.extract import extract
from continual_dml.embedding.preprocessing import normalised
from continual_dml.errors import TrainingError
from continual_dml.ports import SilentListener
from continual_dml.settings import CohortSettings, SelfDistillationSettings
from continual_dml.strategies.hooks import StepHooks
from continual_dml.strategies.job import TrainingJob
from continual_dml.strategies.kept_views import KeptViews
from continual_dml.strategies.learner import Learner
from continual_dml.strategies.members import Member
from continual_dml.strategies.recipes import Recipe
from continual_dml.strategies.trunks import MOST_VIEWS, views_to_keep, with_frozen_trunks
from tests.continual_dml.test_learner import CPU, SETTINGS, images
from tests.continual_dml.test_training_state import InMemory, Interrupted

MODEL = replace(SETTINGS.model, pretrained=True)
PRETRAINED = {
    name.removeprefix("backbone."): value.numpy()
    for name, value in build_embedder(replace(MODEL, pretrained=False), None, seed=7).state_dict().items()
    if name.startswith("backbone.")
}
CASES = {
    "specialist and old model": {},
    "cohort with slow peers, earlier selves and chunks": {
        "cohort": CohortSettings(peer_decay=0.9),
        "self_distillation": SelfDistillationSettings(kind="psd", renew_steps=1),
        "chunk_images": 5,
    },
}
SPEEDY = {"steps": 3, "drift_strength": 1.0, "drift_views": 1, "train_stages": 1}


def settings_of(case, **training):
    chosen = replace(SETTINGS.training, flip=True, **{**SPEEDY, **CASES[case], **training})
    return replace(SETTINGS, model=replace(MODEL, cohort=2 if "cohort" in case else 1), training=chosen)


def learner(settings, checkpoints=None, directory=None):
    return Learner(settings, PRETRAINED, CPU, SilentListener(), checkpoints, directory=directory)


def job(members, **training):
    chosen = replace(SETTINGS.training, **{"train_stages": 1, **training})
    return TrainingJob("job", members, images(0), Recipe(), chosen, seed=1)


@pytest.mark.parametrize("case", CASES)
def test_an_interrupted_training_ends_with_the_same_bits_and_leaves_the_trunk_alone(case):
    settings = settings_of(case)
    first = learner(settings).learn("first", images(0), None, 0).state
    whole = learner(settings).learn("second", images(4), first, 1)

    checkpoints = InMemory()
    checkpoints.ends_after = 2
    with pytest.raises(Interrupted):
        learner(settings, checkpoints).learn("second", images(4), first, 1)
    checkpoints.ends_after = None
    resumed = learner(settings, checkpoints).learn("second", images(4), first, 1)

    for name, group in whole.state.to_artefacts().items():
        for key, value in group.items():
            assert np.array_equal(value, resumed.state.to_artefacts()[name][key]), (name, key)
    for earlier, later in zip(first.members, whole.state.members, strict=True):
        moved = {key for key, value in later.weights.items() if (value != earlier.weights[key]).any()}
        assert moved
        assert all(key.startswith(("backbone.blocks.3", "projection")) for key in moved)


def test_stored_features_are_what_the_learned_network_says():
    settings = settings_of("specialist and old model")
    learned = learner(settings).learn("first", images(0), None, 0)
    [again] = learner(settings)._restored([learned.state.weights])
    assert np.array_equal(extract(again, images(0).pixels, CPU).features, learned.features)


def test_a_step_on_kept_views_is_a_step_on_the_images_that_were_kept():
    networks = [build_embedder(MODEL, PRETRAINED, seed=0) for _ in range(2)]
    given = with_frozen_trunks(job((Member(networks[0]),)), CPU, SilentListener(), None)
    kept = given.kept
    [drawn] = kept.drawn([np.array([3, 1, 4])], np.random.default_rng(0))
    [[seen]] = kept.read(drawn, pin=False).on_device(torch.device("cpu"))
    expected = kept.stores[0][[3, 1, 4], drawn.numbers[0]].transpose(0, 3, 1, 2)
    assert np.array_equal(seen.numpy(), expected.astype(np.float32))
    assert seen.is_contiguous(memory_format=torch.channels_last)


def test_every_kept_view_shows_its_image_shifted_or_mirrored():
    network = build_embedder(MODEL, PRETRAINED, seed=0)
    given = with_frozen_trunks(job((Member(network),), flip=True), CPU, SilentListener(), None)
    squares = torch.from_numpy(given.images.pixels)
    every = []
    for flipped in (squares, squares.flip(2)):
        for top in range(3):
            for left in range(3):
                window = flipped[:, top : top + 16, left : left + 16]
                every.append(_trunk_of(network, window))
    [store] = given.kept.stores
    for number in range(store.shape[1]):
        nearest = np.min([np.abs(store[:, number] - one).max(axis=(1, 2, 3)) for one in every], axis=0)
        assert nearest.max() < 0.01


def _trunk_of(network, window):
    with torch.no_grad():
        return network.halves.trunk(normalised(window, CPU.device)).permute(0, 2, 3, 1).numpy()


def test_networks_with_the_same_trunk_share_what_is_kept_and_others_do_not():
    model, twin, stranger = (
        build_embedder(MODEL, weights, seed=seed)
        for weights, seed in ((PRETRAINED, 0), (PRETRAINED, 1), (None, 2))
    )
    given = with_frozen_trunks(job((Member(model, twin),)), CPU, SilentListener(), None)
    assert given.kept.store_of == ((0, 0),)
    given = with_frozen_trunks(job((Member(model, stranger),)), CPU, SilentListener(), None)
    assert given.kept.store_of == ((0, 1),)
    assert len(given.kept.stores) == 2


def test_a_workspace_that_learned_with_all_layers_goes_on_with_the_trunk_it_has():
    settings = settings_of("specialist and old model")
    everything = replace(settings, training=replace(settings.training, train_stages=None))
    first = learner(everything).learn("first", images(0), None, 0).state
    kept = []

    class Watch(StepHooks):
        def before_training(self, job, optimiser, loss):
            kept.append(job.kept)

    second = learner(settings).learn("second", images(4), first, 1, Watch()).state
    assert kept[0].store_of == ((0, 1),)  # the specialist begins with the pretrained weights
    below = [key for key in first.weights if key.startswith(("backbone.blocks.0", "backbone.blocks.2"))]
    assert all(np.array_equal(first.weights[key], second.weights[key]) for key in below)


def test_members_draw_views_of_their_own_only_where_they_are_to():
    stores = (np.zeros((4, 100, 1, 1, 1), dtype=np.float16),)
    rows = [np.array([0, 1, 2, 3])]
    for own, distinct in ((True, 2), (False, 1)):
        views = KeptViews(stores, ((0,), (0,)), own, torch.float32)
        [drawn] = views.drawn(rows, np.random.default_rng(0))
        assert len({tuple(numbers) for numbers in drawn.numbers.tolist()}) == distinct


def test_no_more_views_are_kept_than_are_looked_at():
    member = Member(build_embedder(MODEL, PRETRAINED, seed=0))
    looks = [views_to_keep(job((member,), steps=steps)) for steps in (1, 4, 5, 1000)]
    assert looks == [1, 2, 3, MOST_VIEWS]  # 12 of 24 images at each step


def test_all_stages_are_trained_as_without_the_setting():
    settings = settings_of("specialist and old model", train_stages=4)
    everything = replace(settings, training=replace(settings.training, train_stages=None))
    one, other = (learner(each).learn("first", images(0), None, 0) for each in (settings, everything))
    assert np.array_equal(one.features, other.features)


def test_a_disk_without_room_is_said(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(TrainingError, match=r"cannot reserve .* MiB for what the frozen layers say"):
        learner(settings_of("specialist and old model"), directory=tmp_path).learn(
            "first", images(0), None, 0
        )
