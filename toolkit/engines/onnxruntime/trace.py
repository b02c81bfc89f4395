"""Reading the file that ONNX Runtime's profiler writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from toolkit.engines.trace import TracedCall, TracedOperator, kinds_by
from toolkit.errors import ResultInvalid

_CALL = "model_run"
_KERNEL = "_kernel_time"
_NS_PER_US = 1000

# DynamicQuantizeMatMul multiplies, GatherBlockQuantized looks up: the order matters.
kind_of = kinds_by(
    {
        "norms": r"norm",
        "attention": r"attention",
        "products": r"matmul|gemm|moe|einsum|conv(?!ert)",
        "copies": r"gather|scatter|cast|copy|concat|transpose|reshape|slice|split|expand|pad|tile"
        r"|(?<!rotary)embedding|identity|squeeze|constant|memcpy",
        "quantizing": r"quant|convert",
        "elementwise": r"add|sub|mul|div|max|min|sigmoid|gelu|elu|silu|swish|mish|tanh|pow|sqrt|reciprocal"
        r"|rotary|exp|log|erf|sin|cos|abs|neg|floor|clip|where|soft|reduce|mean|sum",
    }
)


def read_trace(path: Path) -> list[TracedCall]:
    """Every call of the session, in order.

    Raises:
        ResultInvalid: not such a file, or cut short.
    """
    try:
        events = json.loads(path.read_text(encoding="utf-8", errors="replace"))
        calls = sorted(_of(events, "Session", _CALL), key=lambda event: int(event["ts"]))
        nodes = sorted(
            (event for event in events if event.get("cat") == "Node" and _KERNEL in event["name"]),
            key=lambda event: int(event["ts"]),
        )
        return _calls(calls, nodes)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultInvalid(
            f"the engine's trace cannot be read: {type(error).__name__} {error}",
            subject=path.name,
            next_step="Check the free space on the device, then run it again.",
        ) from None


def _of(events: list[dict[str, Any]], category: str, name: str) -> list[dict[str, Any]]:
    return [event for event in events if event.get("cat") == category and event["name"] == name]


def _calls(calls: list[dict[str, Any]], nodes: list[dict[str, Any]]) -> list[TracedCall]:
    found, place = [], 0
    for call in calls:
        end = int(call["ts"]) + int(call["dur"])
        operators = []
        # What the engine folds while it loads comes before the first call.
        while place < len(nodes) and int(nodes[place]["ts"]) < end:
            node = nodes[place]
            place += 1
            if int(node["ts"]) < int(call["ts"]):
                continue
            operator = str(node["args"]["op_name"])
            operators.append(
                TracedOperator(
                    name=node["name"].removesuffix(_KERNEL),
                    operator=operator,
                    kind=kind_of(operator),
                    ns=int(node["dur"]) * _NS_PER_US,
                )
            )
        found.append(TracedCall(int(call["dur"]) * _NS_PER_US, tuple(operators)))
    return found
