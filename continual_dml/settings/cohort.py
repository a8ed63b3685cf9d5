"""How the members of a cohort teach each other."""

from __future__ import annotations

from dataclasses import dataclass

from continual_dml.settings.checks import between, choice

COHORT_RELATIONS = ("distance", "cosine")
COHORT_PENALTIES = ("huber", "l1", "l2")


@dataclass(frozen=True, slots=True)
class CohortSettings:
    """Knobs of diversified mutual learning; they matter where the model has more than one member.

    ``transfer`` is the weight of the relational term, reached after ``ramp`` (a share of the steps);
    ``relation`` and ``penalty`` say what of two members is compared and how, ``mean_normalised`` whether
    distances are divided by their mean first. ``own_views`` gives each member a crop and flip of its own.
    Peers are the members themselves, or with ``peer_decay`` above 0 their exponential moving averages.
    Member m is updated every 1 + m ``update_gap`` steps: 0 updates all of them at every step.
    """

    transfer: float = 1.0
    ramp: float = 0.2
    relation: str = "distance"
    penalty: str = "huber"
    mean_normalised: bool = False
    own_views: bool = True
    peer_decay: float = 0.0
    update_gap: int = 0

    def __post_init__(self) -> None:
        between("cohort transfer", self.transfer, 0.0, 1e6)
        between("cohort ramp", self.ramp, 0.0, 1.0)
        choice("cohort relation", self.relation, COHORT_RELATIONS)
        choice("cohort penalty", self.penalty, COHORT_PENALTIES)
        between("cohort peer decay", self.peer_decay, 0.0, 0.999999)
        between("cohort update gap", self.update_gap, 0, 1000)
