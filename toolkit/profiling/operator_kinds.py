"""What an operator does, whatever its engine calls it: the survey's Fig. 10b adds times up by such kinds."""

from __future__ import annotations

import re
from typing import Literal, get_args

OperatorKind = Literal["products", "attention", "norms", "elementwise", "copies", "quantizing", "other"]
OPERATOR_KINDS: tuple[OperatorKind, ...] = get_args(OperatorKind)

# Words of both engines' operators, the first that fits deciding: DynamicQuantizeMatMul multiplies, and
# GatherBlockQuantized looks up.
_WORDS: dict[OperatorKind, str] = {
    "norms": r"norm",
    "attention": r"attention|sdpa|delta_rule",
    "products": r"mat\s?mul|matrix multiply|gemm|(?<!quantize)linear|fully\s?connected|moe|einsum|conv(?!ert)"
    r"|\b[ab]?mm\b|::mm",
    "copies": r"gather|scatter|cast|copy|concat|\bcat\b|::cat|transpose|permute|reshape|slice|split"
    r"|expand|pad|tile|index|(?<!rotary)embedding|update_cache|identity|squeeze|clone|fill|full",
    "quantizing": r"quant|convert",
    "elementwise": r"elementwise|add|sub|mul|div|max|min|sigmoid|gelu|elu|silu|mish|hardswish|tanh|pow"
    r"|square|sqrt|reciprocal|rotary|exp|log|erf|sin|cos|abs|neg|floor|clip|clamp|where|soft|reduce|mean|sum",
}
_PATTERNS = {kind: re.compile(words, re.IGNORECASE) for kind, words in _WORDS.items()}


def kind_of(operator: str) -> OperatorKind:
    """The kind of an operator by the engine's name for it; the engine's own work is "other"."""
    return next((kind for kind, words in _PATTERNS.items() if words.search(operator)), "other")
