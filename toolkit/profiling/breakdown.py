"""Where the time of a traced pass goes: by part of the model, and by operator."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from toolkit.engines.trace import OPERATOR_KINDS, OperatorKind, TracedCall, TracedOperator
from toolkit.errors import ResultInvalid
from toolkit.store.measurements import measurement
from toolkit.store.rows import Measurement

Part = Literal["embedding", "attention", "feed_forward", "norms", "lm_head", "engine", "runner", "other"]
PARTS: tuple[Part, ...] = get_args(Part)
Phase = Literal["prefill", "decode"]

# Words of modules' names, the first that fits deciding; a module's norm is named in its parent.
_WORDS: tuple[tuple[Part, re.Pattern[str]], ...] = (
    ("norms", re.compile(r"(^|[._/])(\w*norm\w*|ln_\w+|ln\d?)([._/]|$)", re.IGNORECASE)),
    ("lm_head", re.compile(r"lm_head|embed_out|last_position", re.IGNORECASE)),
    ("feed_forward", re.compile(r"mlp|feed_forward|ffn|fc\d|experts|moe|dense_h_to|dense_4h", re.IGNORECASE)),
    ("attention", re.compile(r"attn|attention|mixer|conv|mamba|recurrent|rotary|layer\.\d", re.IGNORECASE)),
    ("embedding", re.compile(r"embed|wte|wpe", re.IGNORECASE)),
)


@dataclass(frozen=True)
class PhaseBreakdown:
    """One phase of one traced repetition.

    Attributes:
        ns: of the whole phase, as the runner timed it.
        parts: nanoseconds by part; they sum to ``ns``. "engine" is what its calls took beside operators,
            "runner" what the phase took beside its calls.
        operators: nanoseconds by what the engine calls the operator; they sum to ``ns`` with "(engine)" and
            "(runner)".
        kinds: nanoseconds by kind of operator; they sum to ``ns``, the engine's and the runner's own work is
            "other".
        overhead: how much longer the phase took than the untraced one, as a share of that.
    """

    ns: int
    parts: dict[Part, int]
    operators: dict[str, int]
    kinds: dict[OperatorKind, int]
    overhead: float

    def share(self, part: Part) -> float:
        """Of the phase's time."""
        return self.parts[part] / self.ns


@dataclass(frozen=True)
class Work:
    """Calls of a repetition, in order, as the runner makes them.

    Attributes:
        before: that fill the cache.
        prefill: of the timed prefill.
        decode: one per step.
    """

    before: int
    prefill: int
    decode: int

    @classmethod
    def of(cls, *, prompt_tokens: int, generate_tokens: int, depth: int, chunk: int) -> Work:
        """Prompts are fed in chunks."""
        return cls(-(-depth // chunk), -(-prompt_tokens // chunk), generate_tokens - 1)

    @property
    def calls(self) -> int:
        """All of them."""
        return self.before + self.prefill + self.decode

    @property
    def phases(self) -> dict[Phase, slice]:
        """Where in a repetition's calls those of each phase are; one without calls is left out."""
        decode = self.before + self.prefill
        found: dict[Phase, slice] = {
            "prefill": slice(self.before, decode),
            "decode": slice(decode, self.calls),
        }
        return {phase: place for phase, place in found.items() if place.stop > place.start}


def breakdown(
    calls: Sequence[TracedCall], work: Work, phase: Phase, *, traced_ns: int, untraced_ns: float
) -> PhaseBreakdown:
    """Break a phase of the last repetition of a traced pass down.

    Args:
        calls: of the whole pass.
        work: of each of its repetitions.
        phase: one that has calls.
        traced_ns: the phase's time in that repetition.
        untraced_ns: without a trace.

    Raises:
        ResultInvalid: the trace has other calls than the work.
    """
    if not calls or len(calls) % work.calls:
        raise ResultInvalid(
            f"has {len(calls)} calls, {work.calls} make a repetition",
            subject="the engine's trace",
            next_step="Ask for fewer tokens; an engine's trace may have room for a million operators.",
        )
    parts: dict[Part, int] = dict.fromkeys(PARTS, 0)
    operators: dict[str, int] = defaultdict(int)
    kinds: dict[OperatorKind, int] = dict.fromkeys(OPERATOR_KINDS, 0)
    in_calls = 0
    for call in calls[-work.calls :][work.phases[phase]]:
        inside = 0
        for operator in call.operators:
            parts[part_of(operator)] += operator.ns
            operators[operator.operator] += operator.ns
            kinds[operator.kind] += operator.ns
            inside += operator.ns
        # An engine's clock may have microseconds: rounding may make the parts a little longer than the whole.
        parts["engine"] += max(call.ns - inside, 0)
        in_calls += max(call.ns, inside)
    parts["runner"] = max(traced_ns - in_calls, 0)
    operators |= {"(engine)": parts["engine"], "(runner)": parts["runner"]}
    kinds["other"] += parts["engine"] + parts["runner"]
    return PhaseBreakdown(
        max(traced_ns, in_calls), parts, dict(operators), kinds, traced_ns / untraced_ns - 1
    )


def part_of(operator: TracedOperator) -> Part:
    """The part of the model that an operator belongs to, by its node's name and its kind."""
    if operator.kind == "norms" or operator.kind == "attention":
        return operator.kind
    path = operator.name.rpartition("/")[0]
    found: Part = next((part for part, word in _WORDS if word.search(path)), "other")
    # A tied vocabulary's matrix goes by the embedding's name wherever it is multiplied with.
    return "lm_head" if found == "embedding" and operator.kind == "products" else found


def measurements(found: dict[Phase, PhaseBreakdown]) -> Iterator[Measurement]:
    """Shares and overheads as the store has them."""
    for phase, one in found.items():
        for part in PARTS:
            yield measurement(f"{phase}_{part}_percent", 100 * one.share(part))
        for kind, ns in one.kinds.items():
            yield measurement(f"{phase}_operators_{kind}_percent", 100 * ns / one.ns)
        yield measurement(f"{phase}_trace_overhead_percent", 100 * one.overhead)
