"""The engines that a captured decoder can be lowered to, behind one interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from toolkit.errors import UsageError
from toolkit.registry import Registry

if TYPE_CHECKING:
    from toolkit.artifact import TensorQuantization
    from toolkit.capture.graph import DecoderGraph
    from toolkit.capture.rope import RopeTables
    from toolkit.compress.parameters import Weights
    from toolkit.compress.plan import QuantizationPlan, Role
    from toolkit.compress.tensor import QuantizedTensor
    from toolkit.inference.decoder import Decoder
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
        tied: parameter that is an alias -> the parameter that is stored.
        all_logits: logits of every position instead of the last one only.
        context_length: tokens of prompt and answer together.
        opset: ONNX operator set; None means the backend's default.
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


class ExportBackend(Protocol):
    """Lowers decoders to one engine.

    Attributes:
        model_file: name of the model in the artifact.
        packages: Python packages whose versions decide about the artifact's bytes; the first is the engine.
    """

    model_file: str
    packages: tuple[str, ...]

    def check(self, plan: QuantizationPlan, opset: int | None) -> int | None:
        """Refuse what the engine cannot do, before any work is done; returns the opset to use, if any.

        Raises:
            UsageError: an option that the engine does not have.
            CompressError: a scheme that it does not have.
        """
        ...

    def write(self, folder: Path, job: LoweringJob) -> LoweredModel:
        """Lower into an existing folder that already holds the tokenizer."""
        ...

    def decoder(self, folder: Path, capacity: int) -> Decoder:
        """Load what was written; ``capacity`` is the number of tokens that it will be fed."""
        ...


BackendName = Literal["onnxruntime", "executorch"]

BACKENDS: Registry[ExportBackend] = Registry("backend", UsageError)
BACKENDS.register("onnxruntime", "toolkit.export.onnx.backend:BACKEND")
BACKENDS.register("executorch", "toolkit.export.executorch.backend:BACKEND")
