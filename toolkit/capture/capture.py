"""Capture a transformers decoder once, as a graph that no longer needs transformers.

The capture depends on the configuration, on code and on versions, which are its key in the cache, and on
nothing else, so it is reused for every quantization of the model.
"""

from __future__ import annotations

import copy
import hashlib
import inspect
import json
import math
import operator
import sys
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

import toolkit
from toolkit.capture.chunks import without_chunks
from toolkit.capture.graph import ODD, SEQUENCE, DecoderGraph, Op, Ref, is_odd, references
from toolkit.capture.inlined import recognize_attention
from toolkit.capture.patches import ATTENTION, register_attention, traced_operators
from toolkit.capture.recurrences import with_state_names
from toolkit.capture.rows import split_rows
from toolkit.capture.shape import longest_text
from toolkit.capture.simplify import simplify, without_dead_code
from toolkit.capture.skeleton import shared_names
from toolkit.capture.token_rows import by_token
from toolkit.errors import UnsupportedModel
from toolkit.files import write_whole

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_IGNORED = ("_guards", "aten._assert", "aten.sym_constrain", "_operator.", "aten.sym_size")


def capture(model: PreTrainedModel, config: Any) -> DecoderGraph:
    """Trace a copy of a skeleton; the skeleton stays as it was.

    A traced model is of no use afterwards: what its modules computed meanwhile are fake tensors.

    Raises:
        UnsupportedModel: the model does something that cannot be traced or that is not a decoder's.
    """
    from transformers import PretrainedConfig

    chosen = getattr(config, "index_topk", None)
    if chosen is not None:
        raise UnsupportedModel(
            f"model type {config.model_type!r} attends to {chosen} tokens that it chooses for each token "
            "(index_topk), for which there is no operator",
            subject=config.name_or_path or config.model_type,
            next_step="docs/families.md lists the model types that convert.",
        )
    length, limit = 7, _context_limit(config)
    # At the limit itself models may do something else: cut a mask as long as that, say.
    sequence = torch.export.Dim("sequence", min=2, max=limit - 1)
    traced = copy.deepcopy(model)
    register_attention()
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
    try:
        with torch.no_grad(), traced_operators(traced):
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
        raise UnsupportedModel(
            f"model type {config.model_type!r} cannot be traced: {_reason(error)}",
            subject=config.name_or_path or config.model_type,
            next_step="docs/families.md lists the model types that convert.",
        ) from error
    return _to_graph(program, limit, shared_names(model))


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


def is_parameter(buffer: torch.Tensor) -> bool:
    """Whether a stored buffer is a parameter of a graph; others are constants."""
    return buffer.is_floating_point() and buffer.dim() > 0


def _reason(error: Exception) -> str:
    first = (str(error).splitlines() or [type(error).__name__])[0][:300]
    if first.startswith("Constraints violated"):
        return (
            "its shapes hold for some lengths of text only, as where a recurrence, a scan or a choice of "
            "experts is written out, for which there is no operator yet"
        )
    if first.startswith("Could not guard on data-dependent"):
        return (
            "what it does next depends on numbers that it computes, as where each expert takes its tokens in "
            "a loop, for which there is no operator yet"
        )
    return first


def cached_capture(model: PreTrainedModel, config: Any, cache_dir: Path) -> tuple[DecoderGraph, bool]:
    """Return the capture and whether it came from the cache."""
    path = cache_dir / "captures" / f"{config.model_type}-{_cache_key(model, config)}.json"
    try:
        return DecoderGraph.from_json(path.read_text()), True
    except (FileNotFoundError, json.JSONDecodeError, KeyError, TypeError):
        graph = capture(model, config)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, graph.to_json())
    return graph, False


def _cache_key(model: nn.Module, config: Any) -> str:
    """What a capture follows from: config, stored numbers, our code and the model's own, and versions."""
    import transformers

    facts = config.to_dict()
    for irrelevant in ("_name_or_path", "transformers_version", "dtype", "torch_dtype"):
        facts.pop(irrelevant, None)
    versions = [toolkit.__version__, torch.__version__, transformers.__version__]
    numbers = _stored_numbers(model)
    text = json.dumps([facts, versions, _code_digest(model), numbers], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _stored_numbers(model: nn.Module) -> dict[str, list[float]]:
    """Values that become constants of a graph and may come from a checkpoint."""
    persistent = set(model.state_dict())
    return {
        name: buffer.flatten().tolist()
        for name, buffer in model.named_buffers()
        if name in persistent and not is_parameter(buffer)
    }


def _code_digest(model: nn.Module) -> str:
    """Hash of the source files of this package and of the model's modules, a folder's own code among them."""
    owners = {type(module).__module__ for module in model.modules()}
    files = {sys.modules[owner].__file__ for owner in owners}
    model_files = {Path(file) for file in files if file is not None}
    digest = hashlib.sha256()
    for file in [
        *sorted(Path(__file__).parent.glob("*.py")),
        *sorted(model_files, key=lambda path: path.name),
    ]:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


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


def _to_graph(program: torch.export.ExportedProgram, limit: int, shared: Mapping[str, str]) -> DecoderGraph:
    signature = program.graph_signature
    names: dict[str, str] = {}
    for placeholder, target in signature.inputs_to_parameters.items():
        name = target.removeprefix("model.")
        names[placeholder] = shared.get(name, name)
    constants: dict[str, tuple[tuple[int, ...], Any]] = {}
    stored = {
        placeholder: target
        for placeholder, target in signature.inputs_to_buffers.items()
        if target in program.state_dict and is_parameter(program.state_dict[target])
    }
    for placeholder, target in stored.items():
        names[placeholder] = target.removeprefix("model.")
    lifted = {**signature.inputs_to_buffers, **signature.inputs_to_lifted_tensor_constants}
    lifted = {placeholder: target for placeholder, target in lifted.items() if placeholder not in stored}
    values: Mapping[str, Any] = {**program.state_dict, **program.constants}
    ops: list[Op] = []
    output = ""
    for node in program.graph.nodes:
        if node.op == "placeholder":
            if node.name in lifted:
                tensor = values[lifted[node.name]]
                names[node.name] = node.name
                constants[node.name] = (tuple(tensor.shape), tensor.flatten())
            elif node.name not in names:
                names[node.name] = node.name
        elif node.op == "call_function":
            target = _target(node.target)
            names[node.name] = node.name
            if node.users and not target.startswith(_IGNORED):
                ops.append(_op(node, target, names, limit))
        elif node.op == "output":
            output = node.args[0][0].name
    parameters = {
        names[placeholder]: tuple(program.state_dict[target].shape)
        for placeholder, target in {**signature.inputs_to_parameters, **stored}.items()
    }
    ops = with_state_names(_numbered(ops))
    graph = DecoderGraph(tuple(ops), parameters, constants, output)
    _check_operands(graph)
    graph = without_dead_code(by_token(without_chunks(simplify(split_rows(graph)))))
    graph = without_dead_code(recognize_attention(graph, limit))
    _check(graph)
    # Lists only now: a mask of all positions by all is gone. Integers and flags stay what they are.
    constants = {
        name: (shape, torch.as_tensor(numbers).tolist()) for name, (shape, numbers) in graph.constants.items()
    }
    graph = replace(graph, constants=constants)
    _check_numbers(graph)
    return graph


def _numbered(ops: list[Op]) -> list[Op]:
    """Attentions with keys and values of their own each: a layer that runs several times keeps several."""
    attentions = [op for op in ops if op.target == "slm.attention"]
    if len({op.args[3] for op in attentions}) == len(attentions):
        return ops
    order = iter(range(len(attentions)))
    return [
        replace(op, args=(*op.args[:3], next(order), *op.args[4:])) if op.target == "slm.attention" else op
        for op in ops
    ]


def _check_operands(graph: DecoderGraph) -> None:
    """Refuse what reads a constant whose numbers the trace did not keep."""
    known = {"input_ids", "position_ids", *graph.by_name, *graph.parameters, *graph.constants}
    for op in without_dead_code(graph).ops:
        lost = [name for name in references(op) if name not in known]
        if lost:
            raise UnsupportedModel(
                f"{op} reads a constant that the model makes while it runs",
                next_step="docs/families.md lists the model types that convert.",
            )


def _check_numbers(graph: DecoderGraph) -> None:
    """Refuse what reads a buffer that got no value: every logit would be no number."""
    for op in graph.ops:
        for name in references(op):
            _, numbers = graph.constants.get(name, ((), []))
            if any(number != number for number in numbers):
                raise UnsupportedModel(
                    f"{op} reads {name}, whose numbers transformers has in no initializer",
                    next_step="docs/families.md lists the model types that convert.",
                )


def _check(graph: DecoderGraph) -> None:
    """Refuse what no lowering could say: sizes that are no number, and writes into tensors."""
    for op in graph.ops:
        if (op.shape or ()).count(SEQUENCE) > 1:
            raise UnsupportedModel(
                f"{op} compares each position with each other one in a way that is not known as attention",
                next_step="docs/families.md lists the model types that convert.",
            )
        odd = next((size for size in (*(op.shape or ()), *op.args) if is_odd(size)), None)
        if odd is not None:
            raise UnsupportedModel(
                f"{op} has a size of {str(odd).removeprefix(ODD)}, which is neither a number nor the "
                "sequence length",
                next_step="docs/families.md lists the model types that convert.",
            )


def _writes(program: torch.export.ExportedProgram) -> bool:
    """Whether an operation changes one of its operands."""
    return any(
        node.op == "call_function"
        and isinstance(node.target, torch._ops.OpOverload)
        and node.target._schema.is_mutable
        for node in program.graph.nodes
    )


def _target(target: Any) -> str:
    if target is operator.getitem:
        return "getitem"
    name = str(target)
    # "aten.linear.default" and "slm.attention.default": the overload follows from the operands.
    parts = name.split(".")
    return ".".join(parts[:2]) if len(parts) >= 2 else f"_operator.{name}"


def _op(node: torch.fx.Node, target: str, names: Mapping[str, str], limit: int) -> Op:
    value = node.meta.get("val")
    shape = tuple(_size(size, limit) for size in value.shape) if isinstance(value, torch.Tensor) else None
    dtype = str(value.dtype).removeprefix("torch.") if isinstance(value, torch.Tensor) else None
    return Op(
        name=node.name,
        target=target,
        args=tuple(_operand(arg, names, limit) for arg in node.args),
        kwargs={key: _operand(arg, names, limit) for key, arg in node.kwargs.items()},
        shape=shape,
        dtype=dtype,
        module=_module(node),
    )


def _module(node: torch.fx.Node) -> str:
    """Path of the innermost module that an operation was traced in, as the model names it."""
    stack = node.meta.get("nn_module_stack") or {}
    path = next(reversed(stack.values()))[0] if stack else ""
    return str(path).removeprefix("model").lstrip(".")


def _operand(arg: Any, names: Mapping[str, str], limit: int) -> Any:
    if isinstance(arg, torch.fx.Node):
        value = arg.meta.get("val")
        return _size(value, limit) if isinstance(value, torch.SymInt | int) else Ref(names[arg.name])
    if isinstance(arg, torch.SymInt):
        return _size(arg, limit)
    if isinstance(arg, tuple | list):
        return tuple(_operand(item, names, limit) for item in arg)
    if isinstance(arg, torch.dtype):
        return str(arg).removeprefix("torch.")
    if isinstance(arg, bool | int | float | str) or arg is None:
        return math.inf if arg == math.inf else arg
    return str(arg)


def _size(size: Any, limit: int) -> int | str:
    if isinstance(size, int):
        return size
    expression = size.node.expr
    # Another expression of the length matters only where something live has it.
    lengths = [length for length in (2, 3, 7, 97, limit // 2, limit - 1) if length < limit]
    is_length = expression.is_symbol or (
        len(expression.free_symbols) == 1
        and all(expression.subs(dict.fromkeys(expression.free_symbols, n)) == n for n in lengths)
    )
    return SEQUENCE if is_length else f"{ODD}{expression}"
