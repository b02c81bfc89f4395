"""The quantization of one tensor: made from names, checked, compared."""

from __future__ import annotations

from toolkit.artifact import TensorQuantization
from toolkit.compress.algorithms import check_algorithm
from toolkit.compress.groups import check_group_size
from toolkit.compress.schemes import SCHEMES
from toolkit.errors import CompressError


def tensor_spec(scheme: str, group_size: int, *, symmetric: bool, algorithm: str) -> TensorQuantization:
    """A validated spec; schemes that keep floats drop the rest.

    Raises:
        UnknownScheme: unknown scheme or algorithm.
        BadGroupSize: no such group size.
    """
    if not SCHEMES.get(scheme).quantized:
        return TensorQuantization(scheme=scheme, group_size=None, symmetric=True, algorithm="none")
    check_algorithm(algorithm)
    return TensorQuantization(
        scheme=scheme, group_size=check_group_size(group_size), symmetric=symmetric, algorithm=algorithm
    )


def check_tied(embedding: TensorQuantization, lm_head: TensorQuantization) -> None:
    """Refuse specs under which tied matrices could not share one stored tensor.

    The activation part may differ: 8w and 8da8w store the same integers.

    Raises:
        CompressError: bits, groups, symmetry or algorithm differ.
    """
    if _storage(embedding) != _storage(lm_head):
        raise CompressError(
            f"Embedding ({_described(embedding)}) and lm_head ({_described(lm_head)}) are tied and stored"
            " once, so their integers must be the same.",
            next_step="Give both the same bits, group size, symmetry and algorithm; 8w and 8da8w agree.",
        )


def _storage(spec: TensorQuantization) -> tuple[object, ...]:
    scheme = SCHEMES.get(spec.scheme)
    if not scheme.quantized:
        return (scheme.float_dtype,)
    return (scheme.weight_bits, spec.group_size, spec.symmetric, spec.algorithm)


def _described(spec: TensorQuantization) -> str:
    if not SCHEMES.get(spec.scheme).quantized:
        return spec.scheme
    grid = "symmetric" if spec.symmetric else "asymmetric"
    return f"{spec.scheme}, group {spec.group_size}, {grid}, {spec.algorithm}"
