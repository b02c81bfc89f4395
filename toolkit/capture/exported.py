"""The graph of a decoder from what torch.export traced: its operations, parameters and constants by name."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from toolkit.capture.chunks import without_chunks
from toolkit.capture.graph import ODD, SEQUENCE, DecoderGraph, Op, Ref, is_odd, references
from toolkit.capture.head_rows import split_rows
from toolkit.capture.inlined import recognize_attention
from toolkit.capture.latent import keep_latents
from toolkit.capture.recurrences import with_state_names
from toolkit.capture.shared_caches import share_caches
from toolkit.capture.simplify import simplify, without_dead_code
from toolkit.capture.token_rows import by_token
from toolkit.errors import UnsupportedModel

_IGNORED = ("_guards", "aten._assert", "aten.sym_constrain", "_operator.", "aten.sym_size")


def is_parameter(buffer: torch.Tensor) -> bool:
    """Whether a stored buffer is a parameter of a graph, a router's bias say; others are constants."""
    return buffer.is_floating_point() and buffer.dim() == 1


def to_graph(program: torch.export.ExportedProgram, limit: int, shared: Mapping[str, str]) -> DecoderGraph:
    """A traced program as a graph, simplified and checked.

    Args:
        program: with input_ids and position_ids [1, S] as its inputs and logits [1, S, V] as its output.
        limit: the most tokens that the model takes.
        shared: the one name of each parameter that modules share, by its other names.

    Raises:
        UnsupportedModel: the model does something that no lowering could say.
    """
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
    graph = without_dead_code(share_caches(keep_latents(recognize_attention(graph, limit))))
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
    """Refuse what no lowering could say: sizes that are no number or nothing, and writes into tensors."""
    for op in graph.ops:
        if (op.shape or ()).count(SEQUENCE) > 1:
            raise UnsupportedModel(
                f"{op} has numbers for each pair of positions, in a way that is not known as attention",
                next_step="docs/families.md lists the model types that convert.",
            )
        if 0 in (op.shape or ()):
            raise UnsupportedModel(
                f"{op} has a size of 0: the config asks for a part of the model that has no numbers",
                next_step="Mend the config: sizes and counts in it are 1 or more.",
            )
        odd = next((size for size in (*(op.shape or ()), *op.args) if is_odd(size)), None)
        if odd is not None:
            raise UnsupportedModel(
                f"{op} has a size of {str(odd).removeprefix(ODD)}, which is neither a number nor the "
                "sequence length",
                next_step="docs/families.md lists the model types that convert.",
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
