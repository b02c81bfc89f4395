"""Trace a transformers decoder once, as a graph that no longer needs transformers."""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
import sys
import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from toolkit.capture.chosen_tokens import EveryToken, whole_text
from toolkit.capture.code_places import Places, places
from toolkit.capture.exported import is_parameter, to_graph
from toolkit.capture.graph import DecoderGraph
from toolkit.capture.patches import ATTENTION, register_attention, traced_operators
from toolkit.capture.shape import longest_text
from toolkit.capture.skeleton import shared_names
from toolkit.errors import UnsupportedModel, first_line
from toolkit.progress import detail, say

if TYPE_CHECKING:
    from transformers import PreTrainedModel


# Recurrences that models write out as loops, which a trace would unroll.
_NO_OPERATOR = {
    "xlstm": "the matrix memory of an mLSTM (arXiv 2405.04517)",
}


def capture(model: PreTrainedModel, config: Any) -> DecoderGraph:
    """Trace a copy of a skeleton; the skeleton stays as it was.

    A traced model is of no use afterwards: what its modules computed meanwhile are fake tensors.

    Raises:
        UnsupportedModel: the model does something that cannot be traced or that is not a decoder's.
    """
    from transformers import PretrainedConfig

    if (state := _NO_OPERATOR.get(config.model_type)) is not None:
        raise UnsupportedModel(
            f"model type {config.model_type!r} keeps {state}, for which there is no operator",
            subject=config.name_or_path or config.model_type,
            next_step="docs/families.md lists the model types that convert.",
        )
    length, limit = 7, _context_limit(config)
    # At the limit itself models may do something else: cut a mask as long as that, say.
    sequence = torch.export.Dim("sequence", min=2, max=limit - 1)
    traced = copy.deepcopy(model)
    register_attention(None if whole_text(traced) is None else EveryToken())
    # A model that writes its attention out makes its own mask; it is recognized afterwards.
    has_interface = hasattr(sys.modules[type(traced).__module__], "ALL_ATTENTION_FUNCTIONS")
    traced.set_attn_implementation(ATTENTION if has_interface else "eager")
    for module in traced.modules():
        # Modules may hold copies of the config, which set_attn_implementation does not reach.
        own = getattr(module, "config", None)
        if isinstance(own, PretrainedConfig):
            own._attn_implementation = traced.config._attn_implementation
    _in_no_memory(traced)
    wrapper = _Logits(traced, first_position(traced) if _takes_positions(traced) else None)
    inputs = (
        torch.zeros((1, length), dtype=torch.long),
        torch.zeros((1, length), dtype=torch.long),
    )
    printed = io.StringIO()
    try:
        with torch.no_grad(), places(traced) as noted, traced_operators(traced):
            # Where it fails, torch prints all that it traced so far: thousands of lines above the reason.
            # Where it does not, what was printed is said below.
            with contextlib.redirect_stderr(printed):
                program = torch.export.export(
                    wrapper,
                    inputs,
                    dynamic_shapes={"input_ids": {1: sequence}, "position_ids": {1: sequence}},
                    strict=False,
                )
            if _writes(program):
                # Every write into a tensor becomes a new tensor.
                with warnings.catch_warnings():
                    # PyTorch's own code calls what it deprecated.
                    warnings.simplefilter("ignore", FutureWarning)
                    program = program.run_decompositions({})
    except UnsupportedModel:
        raise
    except (RuntimeError, TypeError, ValueError, AttributeError, NotImplementedError, KeyError) as error:
        # Whatever a model's own Python does wrong under tracing surfaces as one of these.
        detail(printed.getvalue())
        raise UnsupportedModel(
            f"model type {config.model_type!r} cannot be traced: {_reason(error, noted)}",
            subject=config.name_or_path or config.model_type,
            next_step="docs/families.md lists the model types that convert.",
        ) from error
    if printed.getvalue():
        say(printed.getvalue().rstrip("\n"))
    return to_graph(program, limit, shared_names(model))


def _in_no_memory(model: nn.Module) -> None:
    """Parameters, and buffers that checkpoints hold, on the host with the memory of one number each.

    On the meta device they would not go together with the numbers that models make while they run.
    """
    kept: dict[int, torch.Tensor] = {}

    def spread(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in kept:
            one = torch.zeros((), dtype=tensor.dtype).expand(tensor.shape)
            is_weight = isinstance(tensor, nn.Parameter)
            kept[id(tensor)] = nn.Parameter(one, requires_grad=False) if is_weight else one
        return kept[id(tensor)]

    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                module._parameters[name] = spread(parameter)  # type: ignore[assignment]
        for name, buffer in module._buffers.items():
            stored = buffer is not None and name not in module._non_persistent_buffers_set
            if buffer is not None and stored and is_parameter(buffer):
                module._buffers[name] = spread(buffer)


def _reason(error: Exception, noted: Places) -> str:
    """What torch said, in words that need no knowledge of it, and where in the model's code."""
    first = first_line(error)
    if first.startswith("Constraints violated"):
        where = f" ({noted.assumed})" if noted.assumed else ""
        return (
            f"its own code{where} holds for some lengths of a text only; a loop over the text, a scan, or a "
            "score for each pair of positions needs an operator that there is not yet"
        )
    found = noted.of(error.__traceback__)
    where = f" ({found})" if found else ""
    if first.startswith("Could not guard on data-dependent"):
        return (
            f"what its own code does next{where} depends on numbers that it computes, for which there is no "
            "operator yet"
        )
    return f"{first}{where}"


def _takes_positions(model: nn.Module) -> bool:
    """Whether position ids can be given; some models count positions themselves.

    A folder's own class may pass on to transformers' class whatever it is given.
    """
    for kind in type(model).__mro__:
        if forward := vars(kind).get("forward"):
            taken = inspect.signature(forward).parameters
            if "position_ids" in taken:
                return True
            if not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in taken.values()):
                return False
    return False


class _Logits(nn.Module):
    """Logits alone; ``first`` is what the model calls the first position, None where it counts itself."""

    def __init__(self, model: nn.Module, first: int | None) -> None:
        super().__init__()
        self.model = model
        self._first = first

    def forward(self, input_ids: torch.Tensor, position_ids: torch.Tensor) -> torch.Tensor:
        positions = {}
        if self._first is not None:
            positions["position_ids"] = position_ids + self._first if self._first else position_ids
        logits: torch.Tensor = self.model(
            input_ids=input_ids, use_cache=False, return_dict=True, **positions
        ).logits
        return logits


def first_position(model: nn.Module) -> int:
    """The number that a model gives to a text's first token itself: RoBERTa begins behind its padding's."""
    for module in model.modules():
        number = getattr(module, "create_position_ids_from_input_ids", None)
        padding = getattr(module, "padding_idx", None)
        if number is None or padding is None:
            continue
        made = number(torch.full((1, 5), padding + 1), padding)
        if not torch.equal(made[0] - made[0, 0], torch.arange(5)):
            raise UnsupportedModel(
                "its positions do not count the tokens",
                subject=type(module).__name__,
                next_step="docs/families.md lists the model types that convert.",
            )
        return int(made[0, 0])
    return 0


def _context_limit(config: Any) -> int:
    return longest_text(config) or 2**20


def _writes(program: torch.export.ExportedProgram) -> bool:
    """Whether an operation changes one of its operands."""
    return any(
        node.op == "call_function"
        and isinstance(node.target, torch._ops.OpOverload)
        and node.target._schema.is_mutable
        for node in program.graph.nodes
    )
