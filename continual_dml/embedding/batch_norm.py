"""Frozen batch norm is an affine map, so it can be folded into the convolution before it.

A third of a training step on CPU is batch norm that, frozen, computes nothing which a convolution's weight
and bias could not hold. Layers that follow no convolution of their own stay as they are and are kept in
evaluation mode.
"""

from __future__ import annotations

from collections import Counter
from typing import cast

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from continual_dml.embedding.module_paths import replace_module


def fold_batch_norm(backbone: nn.Module) -> int:
    """Fold each batch norm that directly follows a convolution into it, in place; return how many.

    A batch norm is folded only when the convolution's output goes nowhere else and both run exactly once,
    as a symbolic trace shows it. A network that cannot be traced is left as it is.
    """
    backbone.eval()
    pairs = _foldable_pairs(backbone)
    for convolution_path, norm_path in pairs:
        convolution = cast(nn.Conv2d, backbone.get_submodule(convolution_path))
        norm = cast(nn.BatchNorm2d, backbone.get_submodule(norm_path))
        replace_module(backbone, convolution_path, fuse_conv_bn_eval(convolution, norm))
        replace_module(backbone, norm_path, nn.Identity())
    return len(pairs)


def freeze_batch_norm(backbone: nn.Module) -> None:
    """Keep the remaining batch norms' scale and shift out of the optimiser."""
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            for parameter in module.parameters():
                parameter.requires_grad_(False)


def _foldable_pairs(backbone: nn.Module) -> list[tuple[str, str]]:
    try:
        graph = fx.Tracer().trace(backbone)
    except (fx.proxy.TraceError, TypeError, AttributeError, RuntimeError, ValueError):
        return []
    modules = dict(backbone.named_modules())
    calls = Counter(str(node.target) for node in graph.nodes if node.op == "call_module")
    pairs = []
    for node in graph.nodes:
        if node.op != "call_module" or not isinstance(modules[str(node.target)], nn.BatchNorm2d):
            continue
        source = node.args[0]
        if not isinstance(source, fx.Node) or source.op != "call_module" or len(source.users) != 1:
            continue
        first, second = str(source.target), str(node.target)
        if isinstance(modules[first], nn.Conv2d) and calls[first] == calls[second] == 1:
            pairs.append((first, second))
    return pairs
