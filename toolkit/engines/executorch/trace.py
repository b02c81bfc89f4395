"""Reading the file that the runner writes about ExecuTorch's calls."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from toolkit.engines.trace import TracedCall, TracedOperator, kinds_by
from toolkit.errors import ResultInvalid

FORMAT = "slm-trace/1"
# A node that the runner's own kernels computed, and an instruction as a whole.
_OWN = "own"
_NO_NODE = -1
_UNNAMED_CALL = "OPERATOR_CALL"
# ExecuTorch numbers XNNPACK's operators of a kind, and marks its generated kernels.
_DECORATION = re.compile(r"^native_call_| #\d+$")

# Words of XNNPACK's operators, of ATen's and of the runner's own, which are called after XNNPACK's nodes.
kind_of = kinds_by(
    {
        "norms": r"norm",
        "attention": r"attention|sdpa|delta_rule",
        "products": r"mat\s?mul|matrix multiply|gemm|linear|fully\s?connected|moe|einsum|conv(?!ert)"
        r"|\b[ab]?mm\b|::mm",
        "copies": r"gather|scatter|cast|copy|concat|\bcat\b|::cat|transpose|permute|reshape|slice|split"
        r"|expand|pad|index|embedding|update_cache|squeeze|clone|fill|full",
        "quantizing": r"quant|convert",
        "elementwise": r"elementwise|add|sub|mul|div|max|min|sigmoid|gelu|elu|silu|mish|hardswish|tanh|pow"
        r"|square|sqrt|reciprocal|rotary|exp|log|erf|sin|cos|abs|neg|floor|clamp|where|soft|reduce|mean|sum",
    }
)


def read_trace(path: Path) -> list[TracedCall]:
    """Every call of the session, in order.

    Raises:
        ResultInvalid: not such a file, or cut short, or of a library that reports nothing.
    """
    try:
        head, *lines = map(json.loads, path.read_text(encoding="utf-8", errors="replace").splitlines())
        if head["format"] != FORMAT:
            raise ValueError(f"format {head['format']}")
        table = _Table(head["operators"])
        calls = [TracedCall(int(line["ns"]), tuple(table.operators(line["events"]))) for line in lines]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ResultInvalid(
            f"the engine's trace cannot be read: {type(error).__name__} {error}",
            subject=path.name,
            next_step="Check the free space on the device, then run it again.",
        ) from None
    if calls and not any(call.operators for call in calls):
        raise ResultInvalid(
            "the engine's library reports no operators",
            subject=path.name,
            next_step="It was built without ET_EVENT_TRACER_ENABLED; the wheel from PyPI has it.",
        )
    return calls


class _Table:
    """What a program says about its instructions, nothing in one that was made before it did."""

    def __init__(self, content: dict[str, Any] | None) -> None:
        self._modules: Sequence[str] = content["modules"] if content else ()
        self._instructions: Sequence[Any] = content["instructions"] if content else ()
        self._aligned: dict[tuple[int, tuple[str, ...]], Sequence[str]] = {}

    def operators(self, events: Sequence[tuple[int, int, str, int]]) -> Iterator[TracedOperator]:
        """The operators of a call."""
        reported: dict[int, list[str]] = {}
        for instruction, node, kind, _ in events:
            if node != _NO_NODE and kind != _OWN:
                reported.setdefault(instruction, []).append(_kind(kind))
        modules = {number: self._modules_of(number, tuple(kinds)) for number, kinds in reported.items()}
        for instruction, node, kind, ns in events:
            if node == _NO_NODE:
                named, module = self._kernel(instruction, _kind(kind))
            elif kind == _OWN:
                named, module = self._node(instruction, node)
            else:
                named, module = _kind(kind), modules[instruction][node]
            yield TracedOperator(f"/{module}/{named}", named, kind_of(named), int(ns))

    def _kernel(self, instruction: int, kind: str) -> tuple[str, str]:
        if instruction >= len(self._instructions) or isinstance(self._instructions[instruction][0], list):
            return kind, ""
        name, module = self._instructions[instruction]
        return name if kind == _UNNAMED_CALL else kind, self._modules[module]

    def _node(self, instruction: int, node: int) -> tuple[str, str]:
        if instruction >= len(self._instructions):
            return f"{_OWN} kernels", ""
        kind, module = self._instructions[instruction][node]
        return f"{_OWN} {kind}", self._modules[module]

    def _modules_of(self, instruction: int, kinds: tuple[str, ...]) -> Sequence[str]:
        """The module of each operator that XNNPACK reports for a delegate, "" where it is not known.

        XNNPACK keeps the order of the nodes, but drops some and adds others.
        """
        if instruction >= len(self._instructions):
            return [""] * len(kinds)
        key = instruction, kinds
        if key not in self._aligned:
            nodes = [(_word(kind), self._modules[module]) for kind, module in self._instructions[instruction]]
            self._aligned[key] = _align([_word(kind) for kind in kinds], nodes)
        return self._aligned[key]


def _align(reported: Sequence[str], nodes: Sequence[tuple[str, str]]) -> list[str]:
    found, place = [], 0
    for word in reported:
        here = next(
            (at for at in range(place, len(nodes)) if word.startswith(nodes[at][0])),
            None,
        )
        found.append("" if here is None else nodes[here][1])
        place = place if here is None else here + 1
    return found


def _kind(reported: str) -> str:
    return _DECORATION.sub("", reported)


def _word(kind: str) -> str:
    """A node's kind as XNNPACK's schema and its profiler both have it."""
    word = kind.partition(" (")[0].replace(" ", "").removeprefix("Static").rstrip("0123456789").casefold()
    return "copy" if word == "concatenate" else word
