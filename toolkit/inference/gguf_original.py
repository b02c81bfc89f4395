"""A GGUF file's tensors, read by llama.cpp's own Python package and undone by transformers' own rules."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch

from toolkit.sources.gguf.parts import parts_of

# llama.cpp's converter classes: these derive from LlamaModel or call its permute, and so on.
_LIKE = {
    "arcee": "llama",
    "granite": "llama",
    "minicpm": "llama",
    "olmo": "llama",
    "smollm3": "llama",
    "gptneox": "bloom",
    "gemma": "gemma2",
}


def sampled(path: Path, config: Any, rows: int) -> Iterator[tuple[str, torch.Tensor]]:
    """Parameters outside the layers, of each the first rows, and the whole first and last layer.

    Args:
        path: the file.
        config: the text decoder's.
        rows: how many rows of a matrix outside the layers; within them heads are interleaved over all rows.

    Yields:
        names as in the ``state_dict()``, with float32 values.
    """
    from transformers import AutoModelForCausalLM
    from transformers.modeling_gguf_pytorch_utils import TENSOR_PROCESSORS, TensorProcessor

    with torch.device("meta"):
        skeleton = AutoModelForCausalLM.from_config(config)
    readers = [_TensorReader(part) for part in parts_of(path)]
    architecture = str(readers[0].fields["general.architecture"].contents())
    arch = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    # Of architectures that transformers does not load, the one whose converter does the same.
    processors = TENSOR_PROCESSORS.get(_LIKE.get(architecture, architecture), TensorProcessor)
    heads = {"n_head": config.num_attention_heads, "num_attention_heads": config.num_attention_heads}
    processor = processors(config=config.to_dict() | heads)
    tensors = {tensor.name: tensor for reader in readers for tensor in reader.tensors}
    layers = {0, config.num_hidden_layers - 1}
    for parameter, expected in skeleton.state_dict().items():
        module, _, suffix = parameter.rpartition(".")
        layer = next((int(part) for part in module.split(".") if part.isdigit()), None)
        if module.endswith(".experts"):
            if layer in layers:
                yield parameter, _experts(parameter, layer, tensors, config)
            continue
        name = f"{names.get_name(module)}.{suffix}"
        if name in tensors and (layer is None or layer in layers):
            stored = tensors[name].data[: rows if layer is None else None]
            values = gguf.quants.dequantize(stored, tensors[name].tensor_type)
            # gpt2's processor puts the output matrix here instead of returning it.
            kept: dict[str, dict[str, torch.Tensor]] = {"tensors": {}}
            done = processor.process(weights=values, name=name, parsed_parameters=kept)
            theirs = kept["tensors"].get("lm_head.weight", torch.tensor(done.weights))
            if layer is not None:
                # Dimensions of size one are there or not, by who wrote the file.
                theirs = theirs.reshape(expected.shape)
            yield parameter, theirs.to(torch.float32)


def _experts(parameter: str, layer: int | None, tensors: dict[str, Any], config: Any) -> torch.Tensor:
    """All experts' matrices as transformers joins those of Qwen; all architectures are written alike."""
    from transformers.modeling_gguf_pytorch_utils import Qwen2MoeTensorProcessor

    processor = Qwen2MoeTensorProcessor(config=config.to_dict())
    kept: dict[str, dict[str, torch.Tensor]] = {"tensors": {}}
    for kind in ("down",) if parameter.endswith("down_proj") else ("gate", "up"):
        name = f"blk.{layer}.ffn_{kind}_exps"
        stored = tensors[f"{name}.weight"]
        processor.process(
            weights=gguf.quants.dequantize(stored.data, stored.tensor_type),
            name=f"{name}.weight",
            tensor_key_mapping={name: parameter},
            parsed_parameters=kept,
        )
    return kept["tensors"][parameter].to(torch.float32)


class _TensorReader(gguf.GGUFReader):  # type: ignore[misc]  # an untyped package
    """gguf's reader without the vocabulary, which it would take apart string by string for many seconds."""

    def _get_field_parts(self, orig_offs: int, raw_type: int) -> Any:
        if raw_type != gguf.GGUFValueType.ARRAY:
            return super()._get_field_parts(orig_offs, raw_type)
        kind, count = struct.unpack_from("<IQ", self.data, orig_offs)
        end = orig_offs + 12
        if kind == gguf.GGUFValueType.STRING:
            for _ in range(count):
                end += 8 + struct.unpack_from("<Q", self.data, end)[0]
        else:
            size = np.dtype(self.gguf_scalar_to_np[gguf.GGUFValueType(kind)]).itemsize
            end += count * size
        return end - orig_offs, [], [], [gguf.GGUFValueType.ARRAY]
