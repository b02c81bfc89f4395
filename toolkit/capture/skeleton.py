"""The transformers model without its weights: shapes, modules and buffers, ready to trace or to stream.

Parameters live on the meta device, so a model of any size costs no memory; buffers (rotary frequencies,
embedding scales) are real, because they are computed from the config and not stored in checkpoints.
"""

from __future__ import annotations

import copy
import warnings
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

from toolkit.errors import UnsupportedModel, first_line
from toolkit.sources.architectures.text_decoders import BUILDING_ERRORS

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel


def build_skeleton(config: PretrainedConfig) -> PreTrainedModel:
    """Instantiate the causal LM of a config with parameters on the meta device.

    Args:
        config: the text decoder's configuration.

    Raises:
        UnsupportedModel: transformers has no causal LM for this configuration.
    """
    from transformers import AutoModelForCausalLM

    # transformers writes the attention's name into the config it is given.
    config = copy.deepcopy(config)
    # The judge's experts: torch's grouped products refuse widths that are no multiple of 16 bytes.
    config._experts_implementation = "eager"

    def build(attention: str, within: AbstractContextManager[Any] | None = None) -> Any:
        with torch.device("meta"), within or nullcontext(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return AutoModelForCausalLM.from_config(
                config, attn_implementation=attention, dtype=torch.float32
            )

    try:
        try:
            model = build("sdpa")
        except ValueError as error:
            if "scaled_dot_product_attention" not in str(error):
                raise
            # Models with a soft cap or an attention of their own have the plain one only.
            model = build("eager")
        if _materialize_buffers(model):
            with suppress(RuntimeError):
                _take_numbers(model, build("eager", _NumbersOnHost()))
    except BUILDING_ERRORS as error:
        raise UnsupportedModel(
            f"transformers has no causal language model of model type {config.model_type!r} for this config"
            f" ({type(error).__name__}: {first_line(error)})",
            subject=config.name_or_path or config.model_type,
            next_step="Check the config; only decoder-only models can be converted.",
        ) from None
    model.eval()
    skeleton: PreTrainedModel = model
    return skeleton


class _NumbersOnHost(TorchFunctionMode):
    """Tensors that are made from numbers hold them, also where others get no memory."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = {"device": "cpu"} if func is torch.tensor else {}
        return func(*args, **{**given, **(kwargs or {})})


def _take_numbers(model: Any, other: Any) -> None:
    """Buffers that no initializer gives a value, from a model that has them from its constructor."""
    values = dict(other.named_buffers())
    for name, buffer in model.named_buffers():
        if _lacks_numbers(buffer) and not values[name].is_meta:
            buffer.copy_(values[name])


def _materialize_buffers(model: Any) -> bool:
    """Give every buffer its real value by transformers' own initializer; parameters stay on meta.

    Returns:
        whether some have none: they are no numbers, and not whatever was in that memory before.
    """
    from transformers import PreTrainedModel

    owners: dict[str, Any] = {"": model}
    waiting: set[str] = set()
    for name, module in model.named_modules():
        # The model that the module belongs to: a decoder within a larger model has an initializer of its own.
        owner = module if isinstance(module, PreTrainedModel) else owners[name.rpartition(".")[0]]
        owners[name] = owner
        for key, buffer in module.named_buffers(recurse=False):
            if buffer.is_meta:
                empty = torch.empty_like(buffer, device="cpu")
                module._buffers[key] = empty.fill_(torch.nan) if empty.is_floating_point() else empty.zero_()
                waiting.add(name)
    for name, module in reversed(list(model.named_modules())):
        # Falcon-H1's model has the numbers of its layers' buffers: what no module knows, those around it may.
        if name in waiting or any(map(_lacks_numbers, module.buffers())):
            owners[name]._init_weights(module)
    return any(map(_lacks_numbers, model.buffers()))


def _lacks_numbers(buffer: torch.Tensor) -> bool:
    return buffer.is_floating_point() and bool(buffer.isnan().any())


def tied_names(model: PreTrainedModel) -> dict[str, str]:
    """Parameters that are another one's alias: ``{"lm_head.weight": "model.embed_tokens.weight"}``."""
    output, inputs = model.get_output_embeddings(), model.get_input_embeddings()
    # The config may ask for what the model's class does not do.
    if output is None or getattr(output, "weight", None) is not inputs.weight:
        return {}
    names = {id(module): name for name, module in model.named_modules()}
    return {f"{names[id(output)]}.weight": f"{names[id(inputs)]}.weight"}


def shared_names(model: Any) -> dict[str, str]:
    """Parameters of layers that share them (Zamba 2) -> those that are stored; tied embeddings are apart."""
    if not hasattr(model, "get_expanded_tied_weights_keys"):
        return {}
    own = tied_names(model)
    every = model.get_expanded_tied_weights_keys(all_submodels=True)
    return {alias: stored for alias, stored in every.items() if alias not in own}
