"""Where a network can be cut in two, so that its lower part need not be trained or run again.

A stage is the part of a network between two changes of spatial resolution. A cut lies where one stage ends:
all data flow through one tensor there, so that what this tensor holds is all that the upper part ever sees.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from continual_dml.errors import SettingsError

SHRINKS_BY = 1.5
"""A convolution without padding takes a pixel or two: that begins no stage."""
_UNTRACEABLE = (fx.proxy.TraceError, TypeError, AttributeError, RuntimeError, ValueError)


@dataclass(frozen=True, slots=True, eq=False)
class Halves:
    """A network cut in two; both halves hold its own modules, under its own names.

    ``trunk``: images (B, 3, S, S) to (B, *``shape``); ``upper``: from there to features.
    """

    trunk: fx.GraphModule
    upper: fx.GraphModule
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """A node that all data flow through: its map's side and size, and the convolutions up to it."""

    node: fx.Node
    side: int
    numbers: int
    kernels: int


class _Tracer(fx.Tracer):
    """Takes every module without modules of its own as it is: some act differently while training."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return super().is_leaf_module(m, module_qualified_name) or not any(True for _ in m.children())


def stages_of(backbone: nn.Module, side_pixels: int) -> int:
    """Return how many stages with convolutions ``backbone`` has for images of ``side_pixels``.

    1 where there is no place to cut it, as in a vision transformer or a network that cannot be traced.
    """
    traced = _traced(backbone, side_pixels)
    return 1 if traced is None else 1 + len(_cuts(traced, backbone))


def halves_of(backbone: nn.Module, name: str, side_pixels: int, upper_stages: int) -> Halves | None:
    """Return ``backbone`` cut below its last ``upper_stages`` stages; None where these are all it has.

    Args:
        backbone: the network; it is run once on a blank image.
        name: of it, for messages.
        side_pixels: side S of the images.
        upper_stages: how many stages come after the cut, at least 1.

    Raises:
        SettingsError: it has fewer stages, or none that can be told apart.
    """
    traced = _traced(backbone, side_pixels)
    cuts = [] if traced is None else _cuts(traced, backbone)
    if traced is None or not cuts:
        raise SettingsError(
            f"train-stages is {upper_stages}, but backbone '{name}' cannot be cut into stages: "
            "leave the option out, or make a workspace with a convolutional network"
        )
    if upper_stages > len(cuts) + 1:
        raise SettingsError(
            f"train-stages is {upper_stages}, but backbone '{name}' has {len(cuts) + 1} stages "
            f"at {side_pixels} px; give at most that many"
        )
    if upper_stages == len(cuts) + 1:
        return None
    place = cuts[-upper_stages]
    nodes = list(traced.nodes)
    below, above = nodes[: nodes.index(place.node) + 1], nodes[nodes.index(place.node) + 1 :]
    return Halves(
        fx.GraphModule(backbone, _part(below, None, place.node)),
        fx.GraphModule(backbone, _part(above, place.node, None)),
        tuple(place.node.meta["tensor_meta"].shape[1:]),
    )


def _traced(backbone: nn.Module, side_pixels: int) -> fx.Graph | None:
    """Return the graph of ``backbone``, each node with its shape; None where it cannot be traced."""
    was_training = backbone.training
    backbone.eval()
    device = next((weight.device for weight in backbone.parameters()), torch.device("cpu"))
    try:
        graph = _Tracer().trace(backbone)
        with torch.no_grad():
            ShapeProp(fx.GraphModule(backbone, graph)).propagate(
                torch.zeros(1, 3, side_pixels, side_pixels, device=device)
            )
    except _UNTRACEABLE:
        return None
    finally:
        backbone.train(was_training)
    return graph


def _cuts(graph: fx.Graph, backbone: nn.Module) -> list[_Place]:
    """Return the places to cut at, from the image upwards, with convolutions below and above each.

    Right before the resolution shrinks, but not inside a run of layers that first widens the map: there the
    place before it holds less and says the same. A pooling is left to the lower part.
    """
    every = list(_places(graph, backbone))
    places = [place for place in every if place.kernels]
    total = max((place.kernels for place in places), default=0)
    cuts: list[_Place] = []
    for number in range(len(places) - 1):
        if places[number].side < SHRINKS_BY * places[number + 1].side or places[number].kernels == total:
            continue
        chosen = _narrowest(places, number)
        if chosen not in cuts:
            cuts.append(chosen)
    return cuts


def _narrowest(places: Sequence[_Place], last: int) -> _Place:
    """Return the place to cut at for the shrinking that follows place number ``last``."""
    best = last
    for number in range(last - 1, -1, -1):
        before, after = places[number], places[number + 1]
        if before.side != after.side or after.node.all_input_nodes != [before.node]:
            break
        if before.numbers > places[best].numbers:
            break
        if before.numbers < places[best].numbers:
            best = number
    for number in range(best + 1, len(places)):
        if places[number].kernels != places[best].kernels:
            break
        if places[number].numbers <= places[best].numbers:
            best = number
    return places[best]


def _places(graph: fx.Graph, backbone: nn.Module) -> Iterator[_Place]:
    """Yield each node with a square map (1, C, S, S) that everything after it depends on alone."""
    position = {node: number for number, node in enumerate(graph.nodes)}
    reached, kernels = 0, 0
    for node in graph.nodes:
        if node.op == "call_module":
            weights = backbone.get_submodule(str(node.target)).parameters()
            kernels += sum(weight.dim() == 4 for weight in weights)
        alone = reached <= position[node]  # nothing that comes later looks at anything before it
        reached = max([reached, *(position[user] for user in node.users)])
        shape = tuple(getattr(node.meta.get("tensor_meta"), "shape", ()))
        if alone and len(shape) == 4 and shape[2] == shape[3]:
            yield _Place(node, shape[2], math.prod(shape), kernels)


def _part(nodes: Sequence[fx.Node], source: fx.Node | None, result: fx.Node | None) -> fx.Graph:
    """Return a graph of ``nodes``: ``source`` is fed in and ``result`` comes out, where given."""
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    if source is not None:
        copies[source] = graph.placeholder("activations")
    for node in nodes:
        copies[node] = graph.node_copy(node, lambda old: copies[old])
    if result is not None:
        graph.output(copies[result])
    return graph


def same_trunk(one: Halves, other: Halves) -> bool:
    """Return whether both trunks compute the same: of the same layers, with the same weights to the bit."""
    first, second = one.trunk.state_dict(), other.trunk.state_dict()
    return (
        one.trunk.code == other.trunk.code
        and first.keys() == second.keys()
        and all(torch.equal(value, second[name]) for name, value in first.items())
    )


def distinct_trunks(halves: Sequence[Halves | None]) -> tuple[list[Halves], list[int | None]]:
    """Return each distinct trunk once, and the number of the one that each of ``halves`` has."""
    trunks: list[Halves] = []

    def number_of(half: Halves) -> int:
        for number, trunk in enumerate(trunks):
            if same_trunk(half, trunk):
                return number
        trunks.append(half)
        return len(trunks) - 1

    return trunks, [None if half is None else number_of(half) for half in halves]
