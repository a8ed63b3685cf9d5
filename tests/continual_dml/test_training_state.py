"""A training that was interrupted goes on as if it had not been: the same bits at the end."""

from dataclasses import replace

import numpy as np
import pytest

from continual_dml.ports import SilentListener
from continual_dml.settings import CohortSettings, SelfDistillationSettings
from continual_dml.strategies.learner import Learner
from tests.continual_dml.test_learner import CPU, SETTINGS, images

STEPS = 9


class Interrupted(Exception):
    """Stands for whatever ends a process."""


class InMemory:
    """Checkpoints that are due after every step, and a process that ends after some of them."""

    def __init__(self):
        self.kept = None
        self.ends_after = None
        self.written = 0

    def read(self):
        return self.kept

    def is_due(self, *, last):
        if self.written == self.ends_after:
            raise Interrupted
        return True

    def write(self, tensors):
        self.kept = {name: array.copy() for name, array in tensors.items()}
        self.written += 1

    def remove(self):
        self.kept = None


class Notes(SilentListener):
    def __init__(self):
        self.notes, self.advanced = [], 0

    def start(self, stage, total):
        self.advanced = 0

    def advance(self, units=1, detail=""):
        self.advanced += units

    def note(self, message):
        self.notes.append(message)


CASES = {
    "specialist, old model and virtual features": {},
    "paper": {"method": "online-mutual-distillation"},
    "loss with weights of its own": {"loss": "proxy-anchor"},
    "loss that draws": {"loss": "margin"},
    "snapshot of an earlier self": {"self_distillation": SelfDistillationSettings(kind="psd", renew_steps=2)},
    "memory of an earlier self": {
        "self_distillation": SelfDistillationSettings(kind="obd", teacher="memory", renew_steps=2)
    },
    "cohort with slow peers": {"cohort": CohortSettings(peer_decay=0.9)},
    "cohort of which one is updated rarely": {"cohort": CohortSettings(update_gap=1)},
}


def learner(settings, listener=None, checkpoints=None):
    return Learner(settings, None, CPU, listener or SilentListener(), checkpoints)


@pytest.mark.parametrize(
    ("case", "steps_before"), [*((case, 4) for case in CASES), *((next(iter(CASES)), n) for n in (1, STEPS))]
)
def test_an_interrupted_training_ends_with_the_same_bits(case, steps_before):
    settings = replace(
        SETTINGS,
        model=replace(SETTINGS.model, cohort=2 if "cohort" in CASES[case] else 1),
        training=replace(SETTINGS.training, steps=STEPS, flip=True, **CASES[case]),
    )
    before = None
    for task in range(2):
        before = learner(settings).learn("earlier", images(4 * task), before, task).state
    whole = learner(settings).learn("new", images(8), before, 2)

    checkpoints, listener = InMemory(), Notes()
    checkpoints.ends_after = steps_before
    if steps_before < STEPS:
        with pytest.raises(Interrupted):
            learner(settings, None, checkpoints).learn("new", images(8), before, 2)
    else:
        learner(settings, None, checkpoints).learn("new", images(8), before, 2)
    checkpoints.ends_after = None
    resumed = learner(settings, listener, checkpoints).learn("new", images(8), before, 2)

    assert f"goes on after {steps_before} of {STEPS} steps of an interrupted run" in listener.notes
    assert resumed.loss_terms == whole.loss_terms
    for name, group in whole.state.to_artefacts().items():
        for key, value in group.items():
            assert np.array_equal(value, resumed.state.to_artefacts()[name][key]), (name, key)


def test_the_first_task_goes_on_as_well():
    settings = replace(SETTINGS, training=replace(SETTINGS.training, steps=STEPS))
    whole = learner(settings).learn("first", images(0), None, 0)
    checkpoints = InMemory()
    checkpoints.ends_after = 3
    with pytest.raises(Interrupted):
        learner(settings, None, checkpoints).learn("first", images(0), None, 0)
    checkpoints.ends_after = None
    resumed = learner(settings, None, checkpoints).learn("first", images(0), None, 0)
    for name, value in whole.state.weights.items():
        assert np.array_equal(value, resumed.state.weights[name]), name


def test_what_cannot_be_kept_is_said_once_and_does_not_stop_the_training():
    class Full(InMemory):
        def is_due(self, *, last):
            return self.written == 0

        def write(self, tensors):
            self.written += 1
            return "the disk is full"

    listener = Notes()
    settings = replace(SETTINGS, training=replace(SETTINGS.training, steps=STEPS))
    learner(settings, listener, Full()).learn("first", images(0), None, 0)
    assert listener.notes == ["an interruption would lose what is learned so far: the disk is full"]
