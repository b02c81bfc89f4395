"""The algorithms that quantize, by name; whoever asks for names alone does not load torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from toolkit.artifact import TensorQuantization
from toolkit.errors import UnknownScheme
from toolkit.registry import Registry, unknown_name

if TYPE_CHECKING:
    import torch

    from toolkit.compress.tensor import QuantizedTensor


class Algorithm(Protocol):
    """Chooses scale, zero point and integers of each group on its own.

    Groups are columns: sums over a group then run over whole rows of memory, which takes half the time.
    """

    def __call__(
        self, groups: torch.Tensor, *, bits: int, symmetric: bool, positive: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Quantize groups.

        Args:
            groups: float32 [group_size, n], finite.
            bits: 4 or 8.
            symmetric: the zero point is fixed at 2**(bits - 1).
            positive: no scale may be below zero.

        Returns:
            Integers, float32 [group_size, n] within 0 .. 2**bits - 1; scales, float32 [n], never 0;
            zero points, float32 [n], whole numbers within 0 .. 2**bits - 1.
        """


ALGORITHMS: Registry[Algorithm] = Registry("quantization algorithm", UnknownScheme)
ALGORITHMS.register("rtn", "toolkit.compress.rtn:round_to_nearest")
ALGORITHMS.register("hqq", "toolkit.compress.hqq:half_quadratic")


class CalibratedAlgorithm(Protocol):
    """Quantizes a matrix for the inputs that it sees; see :func:`toolkit.compress.gptq.gptq`."""

    def __call__(
        self, weight: torch.Tensor, hessian: torch.Tensor, spec: TensorQuantization, *, subject: str
    ) -> QuantizedTensor:
        """Quantize ``weight`` [rows, columns], given its inputs' second moments [columns, columns]."""


CALIBRATED_ALGORITHMS: Registry[CalibratedAlgorithm] = Registry("calibrated algorithm", UnknownScheme)
CALIBRATED_ALGORITHMS.register("gptq", "toolkit.compress.gptq:gptq")


def check_algorithm(name: str) -> str:
    """Refuse a name that neither registry has.

    Raises:
        UnknownScheme: with near matches and all names.
    """
    names = [*ALGORITHMS, *CALIBRATED_ALGORITHMS]
    if name not in names:
        raise unknown_name("quantization algorithm", name, names, UnknownScheme)
    return name
