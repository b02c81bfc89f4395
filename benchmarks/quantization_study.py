"""Perplexity and size of quantization plans, without exporting anything.

Weights are quantized and widened again while the transformers model streams them in, so what is measured
is the quantization alone: int8 activations, whose share is small, are left out.

    python -m benchmarks.quantization_study MODEL
    python -m benchmarks.quantization_study MODEL --plan linears=8da4w:32:sym:rtn,vocabulary=fp32
    python -m benchmarks.quantization_study MODEL --plan preset=mobile-4bit --windows 8
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path

import torch

from toolkit.artifact import TensorQuantization
from toolkit.capture.capture import capture
from toolkit.capture.parts import matrix_parts
from toolkit.capture.skeleton import build_skeleton, tied_names
from toolkit.compress.plan import QuantizationPlan, Role, for_model, plan_from_flags
from toolkit.compress.quantize import quantize
from toolkit.compress.schemes import SCHEMES
from toolkit.compress.spec import tensor_spec
from toolkit.evaluate.likelihood import divergence, negative_log_likelihood, perplexity
from toolkit.evaluate.needle.haystack import TEXT
from toolkit.evaluate.request import TextRequest
from toolkit.evaluate.subject import subject_of_source
from toolkit.evaluate.text import text_windows
from toolkit.inference.reference import streamed_logits
from toolkit.settings import Settings
from toolkit.sources import ModelSource, resolve

WINDOW_TOKENS = 512
PLANS = (
    "preset=fp32",
    "linears=8da4w:32:sym:rtn,vocabulary=fp32",
    "linears=8da4w:32:asym:rtn,vocabulary=fp32",
    "linears=8da4w:32:sym:hqq,vocabulary=fp32",
    "linears=8da4w:32:asym:hqq,vocabulary=fp32",
    "linears=8da4w:16:asym:hqq,vocabulary=fp32",
    "linears=fp32,vocabulary=8da4w:32:asym:hqq",
    "preset=mobile-4bit",
    "preset=mobile-8bit",
)


@dataclass
class RoundTrip:
    """Reads weights as the artifact would hold them, and adds up the bytes they would take there."""

    source: ModelSource
    plan: QuantizationPlan
    vocabulary: frozenset[str]
    stored_bytes: dict[str, float] = field(default_factory=dict)

    def read(self, name: str) -> torch.Tensor:
        """One parameter, quantized and back."""
        weight = self.source.weights.read(name)
        spec = self.plan.spec_for(name, self._role(name))
        scheme = SCHEMES.get(spec.scheme)
        if weight.ndim != 2 or not scheme.quantized:
            self.stored_bytes[name] = weight.numel() * (scheme.weight_bits / 8 if weight.ndim == 2 else 4)
            return weight
        tensor = quantize(weight, spec, subject=name)
        zero_point_bits = 0 if tensor.symmetric else tensor.bits
        bits = weight.numel() * tensor.bits + tensor.scales.numel() * (32 + zero_point_bits)
        self.stored_bytes[name] = bits / 8
        return tensor.dequantize()

    def read_blocks(self, name: str) -> None:
        """Nothing is carried over here."""

    def _role(self, name: str) -> Role:
        return "lm_head" if name in self.vocabulary else "linear"


def parse_plan(text: str, *, tied: bool) -> QuantizationPlan:
    """``preset=NAME``, or ``linears=SPEC,vocabulary=SPEC`` with SPEC as scheme:group:sym|asym:algorithm."""
    parts = dict(part.split("=", 1) for part in text.split(","))
    if "preset" in parts:
        return plan_from_flags(parts["preset"], tied=tied)
    linear, vocabulary = _spec(parts["linears"]), _spec(parts["vocabulary"])
    return QuantizationPlan(linear=linear, embedding=vocabulary, lm_head=vocabulary)


def _spec(text: str) -> TensorQuantization:
    scheme, group, symmetry, algorithm = (text.split(":") + ["32", "sym", "hqq"])[:4]
    return tensor_spec(scheme, int(group), symmetric=symmetry == "sym", algorithm=algorithm)


def main() -> None:
    """Print one Markdown row per plan; KL is taken against the first, fp32."""
    arguments = _arguments()
    source = resolve(arguments.model, Settings.from_environment())
    request = TextRequest(window=WINDOW_TOKENS, stride=WINDOW_TOKENS, windows=arguments.windows)
    _, _, windows = text_windows(subject_of_source(source), arguments.text, request)
    model = build_skeleton(source.config)
    tied = tied_names(model)
    output = next(name for name, module in model.named_modules() if module is model.get_output_embeddings())
    vocabulary = frozenset({f"{output}.weight", *tied.values(), "model.embed_tokens.weight"})
    parts = matrix_parts(capture(model, source.config), tied)
    reference: list[torch.Tensor] = []
    base = 0.0
    print("plan | weights, MB | perplexity | vs fp32 | KL, nats\n--- | ---: | ---: | ---: | ---:", flush=True)
    for text in ("preset=fp32", *(arguments.plan or PLANS[1:])):
        plan = for_model(parse_plan(text, tied=bool(tied)), parts)
        weights = RoundTrip(source, plan, vocabulary)
        logits = [streamed_logits(model, weights, tied, [list(one.ids)])[0, :-1] for one in windows]
        nll = sum(
            negative_log_likelihood(rows, one, subject=text)
            for rows, one in zip(logits, windows, strict=True)
        )
        tokens = sum(one.scored for one in windows)
        measured = perplexity(nll, tokens)
        if not reference:
            reference, base = [rows.half() for rows in logits], measured
        kl = sum(
            divergence(theirs.float(), ours, subject=text).kl
            for theirs, ours in zip(reference, logits, strict=True)
        )
        size = sum(weights.stored_bytes.values()) / 1e6
        change = 100 * (measured / base - 1)
        print(f"{text} | {size:.1f} | {measured:.2f} | {change:+.1f} % | {kl / tokens:.4f}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="hub id, folder or .gguf file")
    parser.add_argument("--plan", action="append", help="may be repeated; default: the documented study")
    parser.add_argument("--text", type=Path, default=TEXT)
    parser.add_argument("--windows", type=int, default=4, help=f"windows of {WINDOW_TOKENS} tokens")
    return parser.parse_args()


if __name__ == "__main__":
    main()
