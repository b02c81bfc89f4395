"""Quantizations that come into question, each with its estimated size and a guess at what it costs.

The guess decides in which order candidates are built and about nothing else: what is measured corrects it.
Its numbers are those of the study in docs/quantization.md: KL of one kind of matrix quantized alone, of the
demo model, and what finer groups, zero points and calibration change about it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import log2

from toolkit.artifact import TensorQuantization
from toolkit.compress.algorithms import CALIBRATED_ALGORITHMS
from toolkit.compress.plan import for_model
from toolkit.compress.presets import PRESETS
from toolkit.compress.schemes import SCHEMES
from toolkit.engines import ENGINES
from toolkit.errors import CompressError
from toolkit.export.estimated_conversion import FoundDecoder, estimate_of
from toolkit.export.quantization import plan_of
from toolkit.export.request import ConvertRequest
from toolkit.models.shape import DecoderShape, MatrixShape

# KL per weight with 4 bits in asymmetric groups of 32 by hqq, times the share of all weights.
_VALUE, _DOWN, _LINEAR, _HEAD, _TABLE = 2.6, 0.31, 0.13, 0.28, 0.03
# Two of thirty ways back made up more than half of their loss, the last one among them.
_LAST_DOWN = 1.5
_SYMMETRIC, _CALIBRATED = 1.15, 0.6
# A group twice as long, and 4 bits more or less.
_COARSER, _BITS = 1.35, 200.0
_CHANNEL_GROUP = 1024
_WIDE = (None, "value,last_down", "value,down")


@dataclass(frozen=True)
class Candidate:
    """A conversion that may be tried.

    Attributes:
        request: it.
        size_bytes: of the artifact, estimated.
        guess: mean KL that is expected, nats per token; only good for comparing candidates.
        decode_bytes: weights that a generated token reads, estimated: where memory is the limit, time goes
            by them.
    """

    request: ConvertRequest
    size_bytes: int
    guess: float
    decode_bytes: int

    @property
    def label(self) -> str:
        """The quantization in short."""
        wanted = self.request.model_copy(update={"context": None})
        return wanted.label().partition(" ")[2]


def candidates(found: FoundDecoder, base: ConvertRequest) -> list[Candidate]:
    """Every preset and every scheme with integer products, with groups, grids, algorithms and wide parts.

    Round-to-nearest is left out: it is as large as hqq, whose error is never above its own. What comes to the
    same plan on the engine is there once, and what the engine or the model's sizes refuse not at all.

    Args:
        found: the model's sizes.
        base: model, engine and context.
    """
    known: dict[object, Candidate] = {}
    for options in _options(base):
        request = base.model_copy(update=options)
        try:
            plan = plan_of(request, tied=found.shape.tied)
            if plan not in known:
                figures = estimate_of(found, request).estimate
                guess = _guess(found.shape, request)
                known[plan] = Candidate(request, figures.artifact_bytes, guess, figures.decode_weights_bytes)
        except CompressError:
            continue
    return sorted(known.values(), key=lambda one: (one.size_bytes, one.guess))


def _options(base: ConvertRequest) -> Iterator[dict[str, object]]:
    linears = ENGINES.get(base.backend).capabilities.linears
    algorithms = (None, *CALIBRATED_ALGORITHMS)
    for preset, algorithm in product(PRESETS, algorithms):
        yield {"quant": preset, "algorithm": algorithm}
        if SCHEMES.get(PRESETS.get(preset).linear.scheme).weight_bits == 4:
            for wide, head in ((None, "8da8w"), ("value,down", None), ("value,down", "8da8w")):
                yield {"quant": preset, "algorithm": algorithm, "eight_bit": wide, "lm_head": head}
    schemes = [name for name in linears if SCHEMES.get(name).dynamic_activation]
    for scheme, symmetric, algorithm in product(schemes, (False, True), algorithms):
        four = SCHEMES.get(scheme).weight_bits == 4
        for group, wide in product(linears[scheme], _WIDE if four else (None,)):
            for head in (None, SCHEMES.get(scheme).eight_bit.name) if four else (None,):
                yield {
                    "quant": scheme,
                    "group_size": group,
                    "symmetric": symmetric,
                    "algorithm": algorithm,
                    "eight_bit": wide,
                    "lm_head": head,
                }


def _guess(shape: DecoderShape, request: ConvertRequest) -> float:
    plan = for_model(plan_of(request, tied=shape.tied), shape.parts)
    total = sum(one.elements for one in shape.matrices)
    return sum(
        _weight(shape, one) * one.elements / total * _error(plan.spec_for(one.name, one.role))
        for one in shape.matrices
    )


def _weight(shape: DecoderShape, matrix: MatrixShape) -> float:
    if matrix.role != "linear":
        return _HEAD if matrix.role == "lm_head" else _TABLE
    by_part = {"value": _VALUE, "down": _DOWN, "last_down": _LAST_DOWN}
    part = shape.parts.get(matrix.name)
    return _LINEAR if part is None else by_part[part]


def _error(spec: TensorQuantization) -> float:
    """Against 4 bits in asymmetric groups of 32 by hqq."""
    scheme = SCHEMES.get(spec.scheme)
    if not scheme.quantized:
        return 0.0
    length = spec.group_size or _CHANNEL_GROUP
    found: float = _COARSER ** log2(length / 32) * _BITS ** ((4 - scheme.weight_bits) / 4)
    if spec.symmetric:
        found *= _SYMMETRIC
    return found * (_CALIBRATED if spec.algorithm in CALIBRATED_ALGORITHMS else 1.0)
