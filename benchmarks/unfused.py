"""`python -m benchmarks.unfused`: unfused beside fused attention, on the same shapes.

Both models of a pair have the same matrices and random weights; they take turns on this machine. Exits with 1
where the unfused one takes more than 1.5 times as long in the median. The figures mean something on an idle
machine only.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from toolkit import api
from toolkit.artifact import Artifact
from toolkit.engines import ENGINES
from toolkit.settings import Settings

LIMIT = 1.5
_RATES = ("prefill", "decode")


@dataclass(frozen=True)
class Pair:
    """Two model types of one shape: engines fuse what the first one does to queries and keys."""

    what: str
    fused: str
    unfused: str


PAIRS = (
    Pair("rotation of neighbours", "llama", "helium"),
    Pair("norms behind the rotation", "qwen3", "hunyuan_v1_dense"),
)
# Those of SmolLM-135M, with a third of its layers.
SHAPE = {
    "vocab_size": 49152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 10,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "head_dim": 64,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}


def converted(
    model_type: str, engine: str, quant: str, shape: Mapping[str, object], folder: Path, settings: Settings
) -> Artifact:
    """An artifact with random weights."""
    file = folder / f"{model_type}.json"
    file.write_text(json.dumps({"model_type": model_type, **shape}))
    target = folder / f"{model_type}-{engine}"
    return api.convert(
        f"random:{file}", target, settings=settings, backend=engine, quant=quant, algorithm="rtn"
    )


def rates(artifact: Artifact, options: argparse.Namespace, settings: Settings) -> tuple[float, float]:
    """Tokens per second of prefill and decode."""
    [run] = api.profile(
        artifact,
        device="local",
        settings=settings,
        prompt_tokens=options.prompt_tokens,
        generate_tokens=options.generate_tokens,
        threads=options.threads,
        repetitions=1,
        warmup=1,
        gate="off",
    )
    prefill, decode = run.run.prefill_tokens_per_second, run.run.decode_tokens_per_second
    if not prefill or not decode:
        sys.exit(f"{artifact.path.name}: the run has no rates: {run.run.status}")
    return prefill, decode


def slowdowns(
    pair: Pair,
    engine: str,
    options: argparse.Namespace,
    folder: Path,
    settings: Settings,
    shape: Mapping[str, object] = SHAPE,
) -> list[float]:
    """How many times as long the unfused one takes in prefill and decode: medians of the rounds."""
    kinds = (pair.fused, pair.unfused)
    artifacts = {kind: converted(kind, engine, options.quant, shape, folder, settings) for kind in kinds}
    ratios: list[tuple[float, ...]] = []
    for turn in range(options.rounds):
        found = {
            kind: rates(artifacts[kind], options, settings)
            for kind in (kinds if turn % 2 == 0 else kinds[::-1])
        }
        ratios.append(tuple(a / b for a, b in zip(found[pair.fused], found[pair.unfused], strict=True)))
    return [statistics.median(column) for column in zip(*ratios, strict=True)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quant", default="8da4w")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt-tokens", type=int, default=512)
    parser.add_argument("--generate-tokens", type=int, default=128)
    options = parser.parse_args()
    worst = 0.0
    with tempfile.TemporaryDirectory(prefix="unfused-") as name:
        for engine in ENGINES:
            for pair in PAIRS:
                folder = Path(name)
                settings = Settings(folder / "cache", folder / "data", f"sqlite:///{folder / 'runs.db'}")
                found = slowdowns(pair, engine, options, folder, settings)
                worst = max(worst, *found)
                text = ", ".join(f"{rate} {ratio:.2f}x" for rate, ratio in zip(_RATES, found, strict=True))
                print(f"{engine}, {pair.what}, {pair.unfused} beside {pair.fused}: {text}", flush=True)
    print(f"at most {worst:.2f}x, allowed {LIMIT}x")
    sys.exit(worst > LIMIT)


if __name__ == "__main__":
    main()
