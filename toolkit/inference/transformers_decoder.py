"""The original model in transformers, behind the interface of a decoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from toolkit.capture.skeleton import build_skeleton, shared_names, tied_names
from toolkit.inference.original import check_reader, load_folder

if TYPE_CHECKING:
    from toolkit.sources.base import ModelSource


class TransformersDecoder:
    """A transformers model with its cache, batch 1.

    Args:
        model: a causal language model with its weights.
    """

    every_position = True

    def __init__(self, model: Any) -> None:
        self._model = model
        self._cache: Any = None
        self._seen: list[int] = []

    def reset(self) -> None:
        """Forget everything seen."""
        self._cache, self._seen = None, []

    def rewind(self, position: int) -> int:
        """Forget all but the first tokens; all of them where a layer's state cannot be cut."""
        if position == len(self._seen):
            return position
        layers = getattr(self._cache, "layers", ())
        cut = getattr(self._cache, "crop", None)
        # What is no plain cache of all keys (a sliding window, a recurrence) has forgotten, or cannot.
        if position < 1 or cut is None or any(type(layer).__name__ != "DynamicLayer" for layer in layers):
            self.reset()
            return 0
        # Positive numbers were the length to keep once; negative ones are the tokens to remove.
        cut(position - len(self._seen))
        del self._seen[position:]
        return position

    def step(self, ids: Sequence[int]) -> torch.Tensor:
        """Feed tokens; returns logits, float32 [len(ids), vocab]."""
        fed = list(ids)
        # A model that gave no cache is fed the whole text again.
        whole = self._seen + fed if self._seen and self._cache is None else fed
        with torch.no_grad():
            output = self._model(torch.tensor([whole]), past_key_values=self._cache, use_cache=True)
        self._cache = getattr(output, "past_key_values", None)
        self._seen += fed
        logits: torch.Tensor = output.logits[0, -len(fed) :]
        return logits.to(torch.float32)


def open_original(source: ModelSource, dtype: torch.dtype = torch.float32) -> TransformersDecoder:
    """The whole original in memory.

    Folders are loaded by transformers itself; GGUF files and random weights through our reader, which is
    compared with llama.cpp's on a sample.

    Args:
        source: where it comes from.
        dtype: of weights and arithmetic.

    Raises:
        ParityFailed: our reader gives other weights than the makers' own code.
        SourceError: it cannot be loaded.
    """
    if source.original is not None and source.original.path.is_dir():
        return TransformersDecoder(load_folder(source.original, dtype))
    check_reader(source)
    model: Any = build_skeleton(source.config)
    tied = tied_names(model)
    names = {**shared_names(model), **tied}
    for name, module in model.named_modules():
        for key, value in list(module._parameters.items()):
            if value is not None:
                full = f"{name}.{key}".lstrip(".")
                read = source.weights.read(names.get(full, full)).to(dtype)
                module._parameters[key] = nn.Parameter(read, requires_grad=False)
    held = set(source.weights.names())
    for name, buffer in model.named_buffers():
        if name in held:
            buffer.copy_(source.weights.read(name))
    if tied:
        model.get_output_embeddings().weight = model.get_input_embeddings().weight
    return TransformersDecoder(model.eval())
