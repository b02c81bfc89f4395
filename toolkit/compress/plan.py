"""Which tensor gets which quantization."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal, get_args

from toolkit.artifact import TensorQuantization
from toolkit.compress.algorithms import CALIBRATED_ALGORITHMS
from toolkit.compress.presets import PRESETS, Preset
from toolkit.compress.schemes import SCHEMES
from toolkit.compress.spec import check_tied, tensor_spec
from toolkit.errors import UnknownScheme
from toolkit.models.shape import Part
from toolkit.registry import unknown_name

Role = Literal["linear", "embedding", "lm_head"]
# `--quant source`: keep the integers that a GGUF file already holds.
SOURCE = "source"
DEFAULT_GROUP_SIZE = 32
DEFAULT_ALGORITHM = "hqq"
# Of a matrix that is never quantized.
EXACT = TensorQuantization(scheme="fp32", group_size=None, symmetric=True, algorithm="none")


@dataclass(frozen=True)
class QuantizationPlan:
    """Specs by role, and exceptions by tensor name.

    Attributes:
        linear: matrices of the decoder layers.
        embedding: the token embedding.
        lm_head: the output projection.
        overrides: (pattern, spec) pairs for linears; the first pattern that matches the tensor's name
            (shell style, "*.v_proj.weight") wins.
        parts: (part, spec) pairs for linears that play a part, until a model's graph says which those are.
        preset: name of the preset that the plan came from.
        carry_over: what to take over from a source that holds integers itself, instead of quantizing again:
            "all" of it, exactly (``--quant source``); its 4-bit "linears", in the form that the engine runs
            fastest; or "nothing". The specs then say how linears treat activations, and how everything else
            is stored.
    """

    linear: TensorQuantization
    embedding: TensorQuantization
    lm_head: TensorQuantization
    overrides: tuple[tuple[str, TensorQuantization], ...] = ()
    parts: tuple[tuple[Part, TensorQuantization], ...] = ()
    preset: str | None = None
    carry_over: Literal["nothing", "linears", "all"] = "nothing"

    @property
    def calibrated(self) -> bool:
        """Whether any matrix is quantized for the inputs that it sees."""
        return any(spec.algorithm in CALIBRATED_ALGORITHMS for spec in self.products)

    @property
    def products(self) -> tuple[TensorQuantization, ...]:
        """Specs of everything that is multiplied with."""
        apart = (spec for _, spec in (*self.overrides, *self.parts))
        return (self.linear, self.lm_head, *apart)

    def spec_for(self, tensor_name: str, role: Role) -> TensorQuantization:
        """The quantization of one tensor."""
        if role == "embedding":
            return self.embedding
        if role == "lm_head":
            return self.lm_head
        for pattern, spec in self.overrides:
            if fnmatchcase(tensor_name, pattern):
                return spec
        return self.linear


def plan_from_flags(
    quant: str,
    *,
    group_size: int | None = None,
    algorithm: str | None = None,
    symmetric: bool | None = None,
    embedding: str | None = None,
    lm_head: str | None = None,
    eight_bit: Sequence[str] = (),
    tied: bool,
) -> QuantizationPlan:
    """Build the plan; a flag left at None takes the preset's value, or the default.

    Args:
        quant: a scheme, a preset, or "source".
        group_size: 16 to 256, or 0 for per-channel.
        algorithm: name in ALGORITHMS or CALIBRATED_ALGORITHMS.
        symmetric: False stores a zero point per group.
        embedding: scheme of the token embedding; by default the lm_head's without its activation part.
        lm_head: scheme of the output projection; by default that of ``quant``.
        eight_bit: parts whose linears get 8 bits; "down" stands for the last one as well.
        tied: embedding and lm_head are one matrix; a scheme given for one of them then holds for both.

    Raises:
        UnknownScheme: no such scheme, preset, algorithm or part.
        BadGroupSize: no such group size.
        CompressError: tied matrices with schemes that store different integers.
    """
    preset = _preset(quant)

    def adjusted(spec: TensorQuantization, scheme: str | None = None) -> TensorQuantization:
        return tensor_spec(
            scheme or spec.scheme,
            (DEFAULT_GROUP_SIZE if spec.group_size is None else spec.group_size)
            if group_size is None
            else group_size,
            symmetric=spec.symmetric if symmetric is None else symmetric,
            algorithm=algorithm or (DEFAULT_ALGORITHM if spec.group_size is None else spec.algorithm),
        )

    if tied and lm_head is None and embedding is not None:
        lm_head = _with_activations_of(preset.vocabulary.scheme, embedding)
    head = adjusted(preset.vocabulary, lm_head)
    table = adjusted(preset.vocabulary, embedding or SCHEMES.get(head.scheme).weight_only.name)
    if not tied and table.algorithm in CALIBRATED_ALGORITHMS:
        # A look-up has no inputs to calibrate with.
        table = table.model_copy(update={"algorithm": DEFAULT_ALGORITHM})
    if tied:
        check_tied(table, head)
    linear = adjusted(preset.linear)
    return QuantizationPlan(
        linear=linear,
        embedding=table,
        lm_head=head,
        parts=(*((part, adjusted(spec)) for part, spec in preset.parts), *_eight_bit(eight_bit, linear)),
        preset=quant if quant in PRESETS else None,
        carry_over=preset.carry_over,
    )


def _eight_bit(parts: Sequence[str], linear: TensorQuantization) -> Iterator[tuple[Part, TensorQuantization]]:
    """Parts with the linears' spec in 8 bits; a linear that keeps floats stays as it is."""
    known: tuple[Part, ...] = get_args(Part)
    wide = linear.model_copy(update={"scheme": SCHEMES.get(linear.scheme).eight_bit.name})
    for word in parts:
        if word not in known:
            raise unknown_name("part", word, known, UnknownScheme)
    for part in known:
        if part in parts or (part == "last_down" and "down" in parts):
            yield part, wide


def for_model(plan: QuantizationPlan, parts: Mapping[str, Part]) -> QuantizationPlan:
    """The plan with its parts turned into a model's matrices.

    Args:
        plan: as the flags gave it.
        parts: what matrices play which part, by name.
    """
    specs = dict(plan.parts)
    named = tuple((name, specs[part]) for name, part in parts.items() if part in specs)
    return replace(plan, overrides=(*plan.overrides, *named), parts=())


def with_exact(plan: QuantizationPlan, names: Sequence[str]) -> QuantizationPlan:
    """The plan with some small matrices in float32: a quantized router sends tokens to other experts."""
    if not SCHEMES.get(plan.linear.scheme).quantized or not names:
        return plan
    return replace(plan, overrides=(*((name, EXACT) for name in names), *plan.overrides))


def _preset(quant: str) -> Preset:
    """A preset by name, or the plain one that a scheme amounts to."""
    if quant in PRESETS:
        return PRESETS.get(quant)
    if quant == SOURCE:
        # What the source holds in blocks that do not fit is kept as closely as integers allow.
        scheme = "8da8w"
    elif quant in SCHEMES:
        scheme = quant
    else:
        names = [*SCHEMES, *PRESETS, SOURCE]
        raise unknown_name("quantization scheme or preset", quant, names, UnknownScheme)
    spec = tensor_spec(scheme, DEFAULT_GROUP_SIZE, symmetric=True, algorithm=DEFAULT_ALGORITHM)
    return Preset(linear=spec, vocabulary=spec, carry_over="all" if quant == SOURCE else "nothing")


def _with_activations_of(scheme: str, storage: str) -> str:
    """The scheme that stores what ``storage`` stores and treats activations as ``scheme`` does."""
    dynamic = SCHEMES.get(storage).dynamic
    return dynamic.name if dynamic and SCHEMES.get(scheme).dynamic_activation else storage
