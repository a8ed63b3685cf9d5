"""Avalanche's importance penalties on an embedder: what was adapted, each beside what happens without."""

from collections.abc import Callable

import pytest
import torch

from continual_dml.records import Experience
from continual_dml.strategies.avalanche_importance import EmbeddingEWC, EmbeddingMAS, EmbeddingSI
from continual_dml.strategies.avalanche_strategy import EmbeddingStrategy
from streams.avalanche_bridge import as_avalanche_benchmark

from avalanche.benchmarks import CLScenario  # isort: skip - after ours, which guard the import
from avalanche.core import SupervisedPlugin  # isort: skip
from avalanche.training.plugins import EWCPlugin, MASPlugin  # isort: skip
from avalanche.training.plugins import SynapticIntelligencePlugin  # isort: skip
from avalanche.training.regularization import LearningWithoutForgetting  # isort: skip

Strategies = Callable[..., EmbeddingStrategy]
PROJECTION = "embedder.projection.weight"


class Watching(SupervisedPlugin):
    """Computes slowly, and right when Avalanche's plugins do, what their importances should be."""

    def __init__(self) -> None:
        super().__init__()
        self.way: torch.Tensor | None = None

    def before_training_exp(self, strategy: EmbeddingStrategy, **_: object) -> None:
        self.start = weights(strategy)
        self.way = torch.zeros_like(self.start)

    def before_update(self, strategy: EmbeddingStrategy, **_: object) -> None:
        self.before, self.gradient = weights(strategy), strategy.model.embedder.projection.weight.grad.clone()

    def after_update(self, strategy: EmbeddingStrategy, **_: object) -> None:
        self.way += self.gradient * (weights(strategy) - self.before)

    def after_training_exp(self, strategy: EmbeddingStrategy, **_: object) -> None:
        model, size = strategy.model.eval(), strategy.dealt_views().batch_images
        views = strategy.dealt_views()
        squared, lengths, batches = 0.0, 0.0, len(views) // size
        for batch in range(batches):
            items = [views[row] for row in range(batch * size, (batch + 1) * size)]
            images, labels = torch.stack([x for x, _, _ in items]), torch.tensor([y for _, y, _ in items])
            parameter = model.embedder.projection.weight
            loss = strategy._criterion(model(images), labels)
            squared += torch.autograd.grad(loss, parameter)[0] ** 2
            length = model.embedder(images).outputs.pow(2).sum(dim=1).mean()
            lengths += torch.autograd.grad(length, parameter)[0].abs()
        self.fisher, self.lengths = squared / batches, lengths / batches
        self.end = weights(strategy)
        model.train()


def weights(strategy: EmbeddingStrategy) -> torch.Tensor:
    return strategy.model.embedder.projection.weight.detach().clone()


def sorted_by_category(stream: Callable[..., list[Experience]]) -> CLScenario:
    """Twelve images of each category one after another, as many as a batch has."""
    return as_avalanche_benchmark(stream(tasks=1, train=12), 16)


def test_ewc_finds_importances_where_batches_in_order_have_one_category_each(
    strategy: Strategies, stream: Callable[..., list[Experience]]
) -> None:
    plain, fitted = EWCPlugin(ewc_lambda=1.0), EmbeddingEWC(ewc_lambda=1.0)
    for plugin in (plain, fitted):
        strategy(plugins=[plugin]).train(sorted_by_category(stream).train_stream)
    assert all(importance.data.count_nonzero() == 0 for importance in plain.importances[0].values())
    assert all(importance.data.count_nonzero() > 0 for importance in fitted.importances[0].values())


def test_ewc_importances_are_mean_squared_gradients_of_balanced_batches(
    strategy: Strategies, benchmark: CLScenario
) -> None:
    plugin, watching = EmbeddingEWC(ewc_lambda=1.0), Watching()
    strategy(plugins=[watching, plugin]).train(benchmark.train_stream[0])
    assert torch.allclose(plugin.importances[0][PROJECTION].data, watching.fisher, rtol=1e-4)
    assert torch.equal(plugin.saved_params[0][PROJECTION].data, watching.end)


def test_mas_finds_importances_where_unit_lengths_have_none(
    strategy: Strategies, benchmark: CLScenario
) -> None:
    plain, fitted, watching = MASPlugin(), EmbeddingMAS(), Watching()
    strategy(plugins=[plain]).train(benchmark.train_stream[0])
    strategy(plugins=[watching, fitted]).train(benchmark.train_stream[0])
    assert plain.importance[PROJECTION].data.max() < 1e-6, "rounding alone"
    assert fitted.importance[PROJECTION].data.min() > 1e-4
    assert all(importance.data.count_nonzero() > 0 for importance in fitted.importance.values())
    assert torch.allclose(fitted.importance[PROJECTION].data, watching.lengths, rtol=1e-4)


def test_mas_goes_on_where_a_batch_has_no_loss(strategy: Strategies, benchmark: CLScenario) -> None:
    class Nothing(SupervisedPlugin):
        def before_backward(self, strategy: EmbeddingStrategy, **_: object) -> None:
            strategy.loss = 0.0 * strategy.loss

    with pytest.raises(ValueError, match="Loss is not available"):
        strategy(plugins=[Nothing(), MASPlugin()]).train(benchmark.train_stream)
    learner = strategy(plugins=[Nothing(), EmbeddingMAS()])
    learner.train(benchmark.train_stream)
    assert learner.state.tasks_learned == 2


@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")  # Avalanche's own
def test_si_follows_weights_that_avalanche_takes_for_unmoved(
    strategy: Strategies, benchmark: CLScenario
) -> None:
    plain, fitted, watching = SynapticIntelligencePlugin(1.0), EmbeddingSI(1.0), Watching()
    strategy(plugins=[plain]).train(benchmark.train_stream[0])
    strategy(plugins=[watching, fitted]).train(benchmark.train_stream[0])
    assert plain.ewc_data[1][PROJECTION].data.count_nonzero() == 0, "on a CPU, in Avalanche 0.6.0"
    gain = -watching.way / ((watching.end - watching.start) ** 2 + 1e-3)
    assert gain.max() > 0.001, "where Avalanche has its cap"
    assert torch.allclose(
        fitted.ewc_data[1][PROJECTION].data, gain.clamp(min=0.0).flatten(), rtol=1e-3, atol=1e-6
    )
    assert torch.equal(fitted.ewc_data[0][PROJECTION].data, watching.end.flatten())


@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")  # Avalanche's own
def test_si_never_drives_a_weight_away(strategy: Strategies, benchmark: CLScenario) -> None:
    class Uphill(SupervisedPlugin):
        def after_update(self, strategy: EmbeddingStrategy, **_: object) -> None:
            for parameter in strategy.model.parameters():
                parameter.grad.neg_()

    plain, fitted = SynapticIntelligencePlugin(1.0), EmbeddingSI(1.0)
    for plugin in (plain, fitted):
        strategy(plugins=[Uphill(), plugin]).train(benchmark.train_stream[0])
    assert min(float(importance.data.min()) for importance in plain.ewc_data[1].values()) < 0
    assert all(importance.data.count_nonzero() == 0 for importance in fitted.ewc_data[1].values())


@pytest.mark.parametrize("plugin", [EmbeddingEWC(1.0), EmbeddingSI(1.0), EmbeddingMAS()])
def test_measuring_importances_leaves_the_trained_model_as_it_is(
    strategy: Strategies, benchmark: CLScenario, plugin: SupervisedPlugin
) -> None:
    learner = strategy(plugins=[plugin])
    learner.train(benchmark.train_stream)
    now = learner.learned.embedder.state_dict()
    assert all(
        torch.equal(torch.as_tensor(value), now[name]) for name, value in learner.state.weights.items()
    )
    assert learner.learned.embedder.training
    assert learner.train_mb_size == 12


def test_avalanches_lwf_takes_category_ids_for_output_units() -> None:
    lwf = LearningWithoutForgetting(alpha=1, temperature=2)
    new, old = torch.nn.functional.normalize(torch.randn(2, 5, 8, generator=torch.manual_seed(0)), dim=2)
    lwf.prev_model = lambda _: old
    lwf.prev_classes_by_task[0] = {2, 5}  # categories of earlier tasks
    divergence = lwf(None, new, None)
    others = torch.tensor([0, 1, 3, 4, 6, 7])
    new[:, others] = -new[:, others]
    assert divergence > 0
    assert lwf(None, new, None) == divergence, "six of eight coordinates do not count"
    lwf.prev_classes_by_task[0] = {2, 5, 8}
    with pytest.raises(IndexError, match="index 8 is out of bounds"):
        lwf(None, new, None)


def test_lwf_over_all_coordinates_would_be_feature_distillation_by_another_weight() -> None:
    new, old = torch.nn.functional.normalize(torch.randn(2, 40, 128, generator=torch.manual_seed(0)), dim=2)
    new = torch.nn.functional.normalize(old + 0.5 * new, dim=1)
    temperature = 2.0
    divergence = LearningWithoutForgetting(1, temperature)._distillation_loss(new, old, range(128))
    squared_distance = (new - old).pow(2).sum(dim=1).mean()
    assert float(divergence) == pytest.approx(float(squared_distance) / (2 * 128 * temperature**2), rel=0.03)
