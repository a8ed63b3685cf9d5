"""Modules of a network by their dotted names."""

from __future__ import annotations

from torch import nn


def replace_module(network: nn.Module, path: str, replacement: nn.Module) -> None:
    """Put ``replacement`` where ``network`` has the module called ``path``."""
    parent, _, leaf = path.rpartition(".")
    setattr(network.get_submodule(parent), leaf, replacement)
