"""What lowers a captured decoder to an engine, behind one interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from toolkit.registry import resolve

if TYPE_CHECKING:
    from toolkit.artifact import TensorQuantization
    from toolkit.capture.folding import PositionTables
    from toolkit.capture.graph import DecoderGraph
    from toolkit.capture.rope import RopeTables
    from toolkit.compress.parameters import Weights
    from toolkit.compress.plan import QuantizationPlan, Role
    from toolkit.compress.tensor import QuantizedTensor
    from toolkit.engines.spec import EngineSpec
    from toolkit.models.layers import Layer


@dataclass(frozen=True)
class LoweringJob:
    """Everything that a lowering is given.

    Attributes:
        name: the model's, for the file's metadata.
        config: the decoder's configuration.
        graph: the captured decoder.
        layers: what each of its layers is.
        weights: reads parameters as float32.
        calibrated: matrices that were quantized for their inputs already, by name.
        plan: quantization of every tensor.
        rope_tables: yields cosines and sines, float32 [context, rotary_dim / 2], by the embedding's name.
        position_tables: yields the rows [context, ...] that ``slm.position_rows`` looks up, by name.
        tied: parameter that is an alias -> the parameter that is stored.
        all_logits: logits of every position instead of the last one only.
        context_length: tokens of prompt and answer together.
        opset: operator set of the model's format, if it has any.
        tokens: bos, eos and pad token ids, as in a generation config.
    """

    name: str
    config: Any
    graph: DecoderGraph
    layers: tuple[Layer, ...]
    weights: Weights
    calibrated: Mapping[str, QuantizedTensor]
    plan: QuantizationPlan
    rope_tables: RopeTables
    position_tables: PositionTables
    tied: Mapping[str, str]
    all_logits: bool
    context_length: int
    opset: int | None
    tokens: Mapping[str, Any]


class LoweredModel(Protocol):
    """What a lowering has written."""

    @property
    def stored(self) -> Mapping[str, TensorQuantization]:
        """Quantization that each matrix really got, by parameter name."""
        ...

    @property
    def roles(self) -> Mapping[str, Role]:
        """The role of each of these."""
        ...

    @property
    def runtimes(self) -> tuple[str, ...] | None:
        """Programs that can run it, where not every one of the engine's can."""
        ...


class EngineLowering(Protocol):
    """Lowers decoders to one engine."""

    def opset(self, asked: int | None) -> int | None:
        """The operator set to use, if the engine's format has any.

        Raises:
            UsageError: it cannot be the one that was asked for.
        """
        ...

    def write(self, folder: Path, job: LoweringJob) -> LoweredModel:
        """Lower into an existing folder that already holds the tokenizer."""
        ...


def lowering_for(engine: EngineSpec) -> EngineLowering:
    """Import what lowers to an engine.

    Raises:
        UsageError: the engine's package is not installed.
    """
    engine.check_installed()
    lowering: EngineLowering = resolve(engine.lowering)
    return lowering
