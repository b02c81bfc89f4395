"""Which parameters a transformers model has, asked of the model class itself without memory for weights."""

from __future__ import annotations

import copy
import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolkit.errors import MissingWeights, SourceCorrupt, UnsupportedModel, first_line
from toolkit.sources.config_values import odd_value
from toolkit.sources.rotary_values import unknown_scaling

if TYPE_CHECKING:
    from transformers import PretrainedConfig


# What transformers and torch raise over numbers that make no model, such as no heads, and over wrong types.
_ODD_CONFIG = (TypeError, AttributeError, RuntimeError, ArithmeticError, LookupError, AssertionError)


@dataclass(frozen=True)
class Parameter:
    """One entry of the ``state_dict()``.

    Attributes:
        shape: as in the ``state_dict()``.
        module: class name of the module that owns it: "Linear", "Conv1D", "Embedding", "LlamaRMSNorm" ...
        buffer: a number that the model's class makes itself and checkpoints store all the same.
        unit_offset: a norm multiplies by 1 + this weight.
    """

    shape: tuple[int, ...]
    module: str
    buffer: bool = False
    unit_offset: bool = False


@dataclass(frozen=True)
class ModelParameters:
    """What a causal language model consists of.

    Attributes:
        parameters: every parameter, tied ones once, in the model's order.
        tied: alias -> the parameter that it shares, e.g. ``lm_head.weight`` -> the embedding.
        ignorable: patterns of stored names that the model's class ignores on loading.
        conversions: transformers' renamings and converters of stored tensors.
        base_prefix: name of the module that holds the body.
    """

    parameters: dict[str, Parameter]
    tied: dict[str, str]
    ignorable: tuple[str, ...]
    conversions: tuple[Any, ...] = ()
    base_prefix: str = ""


def model_parameters(
    config: PretrainedConfig, *, subject: str, trust_remote_code: bool = False
) -> ModelParameters:
    """What the causal language model of a config consists of.

    Raises:
        UnsupportedModel: transformers has no causal language model for the config.
        SourceCorrupt: the config's values make none.
    """
    from transformers.conversion_mapping import get_model_conversion_mapping

    model = _empty_model(config, subject, trust_remote_code)
    return ModelParameters(
        _parameters(model),
        model.get_expanded_tied_weights_keys(all_submodels=True),
        tuple(model._keys_to_ignore_on_load_unexpected or ()),
        tuple(get_model_conversion_mapping(model)),
        model.base_model_prefix,
    )


def expected_parameters(
    config: PretrainedConfig, *, subject: str, trust_remote_code: bool = False
) -> dict[str, Parameter]:
    """Every parameter of the causal language model, tied ones once, in the model's order.

    Raises:
        UnsupportedModel: transformers has no causal language model for the config.
    """
    return _parameters(_empty_model(config, subject, trust_remote_code))


def _parameters(model: Any) -> dict[str, Parameter]:
    persistent = set(model.state_dict())
    # A tied lm_head is the embedding's parameter under a second name, which may come first (CamemBERT).
    tied = model.get_expanded_tied_weights_keys(all_submodels=True)
    named = [pair for pair in model.named_parameters(remove_duplicate=False) if pair[0] not in tied]
    once = {id(parameter): (name, parameter) for name, parameter in reversed(named)}
    tensors = [*reversed(once.values()), *model.named_buffers()]
    # Vectors, such as a router's biases, are as little known before the checkpoint is as parameters are.
    buffers = {
        name for name, value in model.named_buffers() if not value.is_floating_point() or value.dim() != 1
    }
    owners = {name: type(module).__name__ for name, module in model.named_modules()}
    norms = {type(module): module for module in model.modules() if _is_norm(module)}
    adding = {kind for kind, module in norms.items() if _adds_one(module)}
    offset = {name for name, module in model.named_modules() if type(module) in adding}
    return {
        name: Parameter(
            tuple(tensor.shape),
            owners[owner := name.rpartition(".")[0]],
            name in buffers,
            owner in offset and name.endswith(".weight"),
        )
        for name, tensor in tensors
        if name in persistent
    }


def _is_norm(module: Any) -> bool:
    weight = getattr(module, "weight", None)
    return "Norm" in type(module).__name__ and weight is not None and weight.dim() == 1


def _adds_one(norm: Any) -> bool:
    """Whether a norm with a weight of zeros yields something, since it multiplies by 1 + weight."""
    import torch

    probe = copy.deepcopy(norm).to_empty(device="cpu")
    with torch.no_grad():
        for parameter in probe.parameters():
            parameter.zero_()
        try:
            normalized = probe(torch.linspace(-1, 1, len(norm.weight))[None])
        except (RuntimeError, TypeError, ValueError, AttributeError, LookupError, AssertionError):
            # It takes something else than rows, a gate say.
            return False
    return isinstance(normalized, torch.Tensor) and bool(normalized.any())


def _empty_model(config: PretrainedConfig, subject: str, trust_remote_code: bool) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=trust_remote_code)
    except (
        ValueError,
        TypeError,
        AttributeError,
        KeyError,
        IndexError,
        ZeroDivisionError,
        ImportError,
    ) as error:
        if (scaling := unknown_scaling(config)) is not None:
            raise UnsupportedModel(
                f"transformers scales no rotary embedding so: {scaling}",
                subject=subject,
                next_step="Write the type by one of these names, or get config.json of the original model.",
            ) from error
        if (odd := odd_value(config)) is not None:
            raise SourceCorrupt(odd[0], subject=subject, next_step=odd[1]) from error
        raise UnsupportedModel(
            f"transformers has no causal language model of model type {config.model_type!r} for this config"
            f" ({first_line(error)})",
            subject=subject,
            next_step="Check the config; only decoder-only models can be converted.",
        ) from error
    except OSError as error:
        # What the system refuses is not the code's fault; a file that is missing, which transformers says
        # without a number, is.
        if error.errno not in (None, errno.ENOENT):
            raise
        raise SourceCorrupt(
            f"the model's own Python code is not complete: {first_line(error)}",
            subject=subject,
            next_step="Get all *.py files of the model beside config.json.",
        ) from error
    except _ODD_CONFIG as error:
        if (odd := odd_value(config)) is not None:
            raise SourceCorrupt(odd[0], subject=subject, next_step=odd[1]) from error
        raise SourceCorrupt(
            f"config.json does not make a model: {first_line(error)}",
            subject=subject,
            next_step="Correct what it names, or get config.json of the model again.",
        ) from error
    model.tie_weights()
    return model


def check_complete(
    expected: dict[str, Parameter], found: dict[str, tuple[int, ...]], *, subject: str
) -> None:
    """Compare what the model needs with what the source holds.

    Raises:
        MissingWeights: tensors are missing; the first few are named.
        SourceCorrupt: a tensor has another shape than the config says.
    """
    missing = [name for name in expected if name not in found]
    if missing:
        named = ", ".join(missing[:4]) + (", ..." if len(missing) > 4 else "")
        raise MissingWeights(
            f"{len(missing)} of {len(expected)} tensors are missing: {named}",
            subject=subject,
            next_step="Get all weight files of the model; check that config and weights belong together.",
        )
    for name, parameter in expected.items():
        if found[name] != parameter.shape:
            raise SourceCorrupt(
                f"{name} has shape {list(found[name])}, the config asks for {list(parameter.shape)}",
                subject=subject,
                next_step="Check that config and weights belong together.",
            )
