"""Layers that torch trains slowly on a processor, exchanged for ones that compute the same.

oneDNN has no fast way to take a gradient back through a depthwise convolution with strides in bfloat16: of a
step of MobileNetV2 four such layers took half the time, against a twentieth in single precision. So that one
product is computed in single precision. And where gradients are wanted, ``relu6`` in place writes its result
twice.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def use_processor_layers(backbone: nn.Module) -> None:
    """Exchange layers of ``backbone`` in place; its weights, their names and what it computes stay."""
    for module in backbone.modules():
        # Another class for the same fields, as torch's parametrisations do it. Making a layer without drawing
        # weights for it goes through code of torch that loads sympy, which takes longer than all of this.
        if type(module) is nn.Conv2d and _is_strided_depthwise(module):
            module.__class__ = StridedDepthwise
        elif type(module) is nn.ReLU6 and module.inplace:
            module.__class__ = ClampedInPlace


class ClampedInPlace(nn.ReLU6):
    """``nn.ReLU6`` in place."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Return ``input`` with all numbers brought within 0 and 6."""
        if not (self.training and _has_gradient(input)):
            return super().forward(input)
        return cast(Tensor, _Clamp.apply(input))  # type: ignore[no-untyped-call]


class StridedDepthwise(nn.Conv2d):
    """A convolution of each channel by itself, with strides."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Return (B, C, H', W') of (B, C, H, W)."""
        if not (self.training and _has_gradient(input) and input.dtype is torch.bfloat16):
            return super().forward(input)
        return cast(Tensor, _Convolution.apply(input, self.weight, self.bias, self))  # type: ignore[no-untyped-call]


def _has_gradient(images: Tensor) -> bool:
    return images.device.type == "cpu" and images.requires_grad and torch.is_grad_enabled()


def _is_strided_depthwise(module: nn.Conv2d) -> bool:
    alone = module.groups == module.in_channels == module.out_channels > 1
    plain = not isinstance(module.padding, str) and module.padding_mode == "zeros"
    return alone and plain and max(module.stride) > 1


class _Clamp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, numbers: Tensor) -> Tensor:  # noqa: ANN401
        numbers.clamp_(0, 6)
        ctx.mark_dirty(numbers)
        ctx.save_for_backward(numbers)
        return numbers

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401
        (result,) = ctx.saved_tensors
        return cast(Tensor, torch.ops.aten.hardtanh_backward(gradient, result, 0.0, 6.0))


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor | None, how: nn.Conv2d) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(images, weight)
        ctx.how = how
        rounded = None if bias is None else bias.to(images.dtype)
        return torch.conv2d(
            images, weight.to(images.dtype), rounded, how.stride, how.padding, how.dilation, how.groups
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:  # noqa: ANN401
        images, weight = ctx.saved_tensors
        of_images, of_weight, of_bias = ctx.needs_input_grad[:3]
        for_images = for_weight = for_bias = None
        if of_images:
            shaped = torch.empty_like(images, dtype=torch.float32)  # its numbers have no part in this
            full = _gradients(ctx.how, gradient.float(), shaped, weight.float(), (True, False, False))[0]
            for_images = cast(Tensor, full).to(images.dtype)
        if of_weight or of_bias:
            wanted = (False, of_weight, of_bias)
            found = _gradients(ctx.how, gradient, images, weight.to(images.dtype), wanted)[1:]
            for_weight, for_bias = (None if one is None else one.to(weight.dtype) for one in found)
        return for_images, for_weight, for_bias, None


def _gradients(
    how: nn.Conv2d, gradient: Tensor, images: Tensor, weight: Tensor, wanted: tuple[bool, bool, bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Return the gradients for images, weight and bias, None for those not wanted."""
    shape = (how.stride, how.padding, how.dilation, False, [0, 0], how.groups)
    found: tuple[Tensor | None, Tensor | None, Tensor | None] = torch.ops.aten.convolution_backward(
        gradient, images, weight, [how.out_channels], *shape, list(wanted)
    )
    return found
