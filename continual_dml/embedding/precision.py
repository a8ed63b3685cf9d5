"""Where and how precisely to compute."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from continual_dml.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Compute:
    """A device, and whether convolutions run in bfloat16."""

    device: torch.device
    bf16: bool

    def autocast(self) -> torch.autocast:
        """Return the context in which forward passes run."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)


def choose_compute(device: str, precision: str) -> Compute:
    """Resolve ``auto`` for the device (CUDA when there is one) and the precision (bf16 when hardware has it).

    Raises:
        SettingsError: CUDA was asked for and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise SettingsError("--device cuda: no CUDA device here; use --device cpu or auto")
    use_cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    chosen = torch.device("cuda" if use_cuda else "cpu")
    bf16 = precision == "bf16" or (precision == "auto" and _has_bf16_hardware(chosen))
    return Compute(chosen, bf16)


def _has_bf16_hardware(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.backends.cpu.get_cpu_capability()
    return "AVX512" in capabilities and bool(torch.cpu._is_avx512_bf16_supported())
