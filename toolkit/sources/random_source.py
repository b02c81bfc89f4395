"""Random weights of an architecture: run time depends on shapes, not on values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.artifact import SourceInfo
from toolkit.errors import SourceCorrupt, SourceNotFound
from toolkit.models.catalogue.catalogue import catalogue_for
from toolkit.models.catalogue.entry import Entry
from toolkit.registry import did_you_mean
from toolkit.sources.base import ModelSource
from toolkit.sources.byte_tokenizer import ByteTokenizer
from toolkit.sources.folder_source import config_from_fields
from toolkit.sources.naming import safe_name
from toolkit.sources.parameters import Parameter, expected_parameters

if TYPE_CHECKING:
    import torch

    from toolkit.compress.tensor import QuantizedTensor

PREFIX = "random:"


def from_random(reference: str, own: Path | None = None, *, trust_remote_code: bool = False) -> ModelSource:
    """Make a source from ``random:NAME`` or ``random:path/config.json``.

    The same reference gives the same weights on every machine and in every order of reading.

    Args:
        reference: what the user typed; a name is one of the catalogue's.
        own: the folder with the user's own catalogue entries.
        trust_remote_code: allow model code that lies beside a config.

    Raises:
        SourceNotFound: neither a model of the catalogue with a config nor a file.
        SourceCorrupt: not a config.
        UntrustedSource: the config needs the code beside it, without trust.
        UnsupportedModel: transformers does not know the model type.
        CatalogueInvalid: a file of the user's own that is no entry.
    """
    target = reference.removeprefix(PREFIX)
    known = catalogue_for(target, own)
    if target in known:
        entry = known[target]
        # One spelling, whatever was typed: results of one model stay together.
        target, fields = entry.name, _fields_of(entry)
        origin, name = Path(target), f"random-{safe_name(target)}"
    elif (origin := Path(target)).is_file():
        fields = _fields_in(origin)
        name = f"random-{safe_name(origin.parent.resolve().name if origin.stem == 'config' else origin.stem)}"
    else:
        near = did_you_mean(target, known.buildable())
        raise SourceNotFound(
            "neither a model of the catalogue nor a file",
            subject=reference,
            next_step=f"{near}See `slm models list --all`, or give random:path/to/config.json.",
        )
    config = config_from_fields(fields, origin, trust_remote_code=trust_remote_code)
    parameters = expected_parameters(config, subject=reference, trust_remote_code=trust_remote_code)
    weights = RandomWeights(parameters)
    info = SourceInfo(kind="random", id=f"{PREFIX}{target}", revision=None, files=[])
    return ModelSource(name, info, config, weights, ByteTokenizer.for_config(config))


def _fields_of(entry: Entry) -> Mapping[str, Any]:
    if entry.config is None:
        raise SourceNotFound(
            f"the catalogue has no config of it: {entry.config_note}",
            subject=entry.name,
            next_step="`slm models list --buildable` shows those that can be built.",
        )
    return entry.config


def _fields_in(file: Path) -> Mapping[str, Any]:
    try:
        fields = json.loads(file.read_text(errors="replace", encoding="utf-8"))
    except ValueError as error:
        raise SourceCorrupt(
            f"is not JSON: {error}", subject=str(file), next_step="Give the config.json of a model."
        ) from None
    if not isinstance(fields, dict):
        raise SourceCorrupt(
            "is not a JSON object", subject=str(file), next_step="Give the config.json of a model."
        )
    return fields


class RandomWeights:
    """A WeightReader that makes each tensor from its name.

    Scales keep activations near unit variance and logits spread over a few units: a flat or exploding
    distribution would hide errors in parity checks.
    """

    def __init__(self, parameters: dict[str, Parameter]) -> None:
        # A number that the model's class makes itself is no weight; a vector, such as a router's bias, is.
        self._parameters = {name: one for name, one in parameters.items() if not one.buffer}

    def names(self) -> list[str]:
        """All parameters, in the model's order."""
        return list(self._parameters)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape in the ``state_dict()``'s layout."""
        return self._parameters[name].shape

    def read(self, name: str) -> torch.Tensor:
        """The parameter as float32, always the same for the same name and shape."""
        import torch

        parameter = self._parameters[name]
        seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little") >> 1
        generator = torch.Generator().manual_seed(seed)
        values = torch.empty(parameter.shape, dtype=torch.float32).normal_(generator=generator)
        if _is_final_norm(name, parameter):
            # Half of the channels change sign. Else a tied lm_head finds the current token's embedding in
            # the residual stream and repeats that token for ever.
            return values.sign_().sub_(1.0 if parameter.unit_offset else 0.0)
        mean, deviation = self._distribution(name, parameter)
        return values.mul_(deviation).add_(mean)

    def read_blocks(self, name: str) -> QuantizedTensor | None:
        """None: nothing is stored."""
        return None

    def _distribution(self, name: str, parameter: Parameter) -> tuple[float, float]:
        """Mean and standard deviation."""
        if "Norm" in parameter.module:
            centred = name.endswith(".bias") or parameter.unit_offset
            return (0.0 if centred else 1.0), 0.05
        if len(parameter.shape) < 2:
            # A single number is a factor (Gemma 4's layer_scalar), several are biases.
            return float(parameter.shape == (1,)), 0.05
        if "Embedding" in parameter.module or name == "lm_head.weight":
            return 0.0, 2.0 / parameter.shape[-1] ** 0.5
        inputs = parameter.shape[0] if parameter.module == "Conv1D" else parameter.shape[-1]
        return 0.0, inputs**-0.5


def _is_final_norm(name: str, parameter: Parameter) -> bool:
    in_layer = any(part.isdigit() for part in name.split("."))
    return "Norm" in parameter.module and name.endswith(".weight") and not in_layer
