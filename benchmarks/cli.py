"""Command line: choose the rows, run them, write the page."""

from __future__ import annotations

import argparse
import fnmatch
import platform
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.environments import Environment
from benchmarks.errors import PeerFailed
from benchmarks.kept import KeptAnswers
from benchmarks.machine import cpu_flags, describe_machine
from benchmarks.peers.app_library import IN_APP, OursInApp
from benchmarks.peers.base import Peer, Workplace
from benchmarks.peers.executorch import (
    CONTEXT_LENGTH,
    ExecutorchEngine,
    ExecutorchOnOurArtifact,
    OptimumExecutorch,
)
from benchmarks.peers.genai_our_artifact import GenaiOnOurArtifact
from benchmarks.peers.llama_cpp import LlamaCpp, LlamaCppRow, build_variables
from benchmarks.peers.onnxruntime_genai import GenaiBuilder, GenaiEngine
from benchmarks.peers.ours import (
    ENGINE_KERNELS,
    EXECUTORCH,
    EXECUTORCH_ENGINE_KERNELS,
    OurArtifact,
    Ours,
)
from benchmarks.readme import show_in_readme
from benchmarks.results import Results
from benchmarks.samples import Score
from benchmarks.schedule import run_all
from benchmarks.table import render
from benchmarks.weights import TEXT, TEXT_SHA256, find_gguf, prepare_weights, reference_score
from benchmarks.workload import WINDOW_TOKENS, Workload
from toolkit.settings import Settings

ROOT = Path(__file__).parents[1]
OUT = ROOT / "benchmarks" / "out"
PUBLISHED = ROOT / "benchmarks" / "results"
# The first one is held against the targets.
DEFAULT_QUANTIZATIONS = ("8da4w", "mobile-4bit")

_EPILOG = """\
examples:
  python -m benchmarks                                  the full run; writes benchmarks/results/latest.md
  python -m benchmarks --quick                          minutes, to see that everything works
  python -m benchmarks --only 'ours-*' 'llama.cpp-q4_0' some rows
  python -m benchmarks --only '*executorch*'            all that runs on ExecuTorch
  python -m benchmarks --quant mobile-4bit source       several of our quantizations; the first is compared
"""


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; exits with 2 on one that cannot be meant."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Run our artifact and its peers side by side, in turn, with equal threads.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    defaults = Workload()
    parser.add_argument("--only", nargs="+", metavar="ROW", help="rows by name; * and ? match")
    parser.add_argument("--list", action="store_true", help="print the rows' names and exit")
    parser.add_argument("--rounds", type=_positive, default=None, help=f"default {defaults.rounds}")
    parser.add_argument("--threads", type=_positive, default=defaults.threads, help="default %(default)s")
    parser.add_argument(
        "--quant",
        nargs="+",
        default=DEFAULT_QUANTIZATIONS,
        help="our schemes or presets (slm convert --quant); default %(default)s",
    )
    parser.add_argument("--model", type=Path, help="a .gguf file; default: the demo model")
    parser.add_argument("--quick", action="store_true", help="2 rounds of little work, 2 windows of text")
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="take peers' conversions and perplexities anew, though nothing has changed since they were kept",
    )
    parser.add_argument(
        "--output", type=Path, help="page to write, with .json beside it; default: results/latest.md, "
        "or out/latest.md when the run is quick or not of all rows"
    )  # fmt: skip
    return parser.parse_args(arguments)


def workload_of(options: argparse.Namespace) -> Workload:
    """The work that the options ask for."""
    if options.quick:
        return Workload(
            prompt_tokens=64,
            generate_tokens=16,
            threads=options.threads,
            rounds=options.rounds or 2,
            repetitions=1,
            windows=2,
        )
    return Workload(threads=options.threads, rounds=options.rounds or Workload.rounds)


def output_of(options: argparse.Namespace) -> Path:
    """Only a full run replaces the published page."""
    if options.output is not None:
        return Path(options.output)
    full = not options.quick and not options.only and workload_of(options).rounds >= Workload.rounds
    return (PUBLISHED if full else OUT) / "latest.md"


@dataclass(frozen=True)
class Environments:
    """Where the peers live."""

    genai: Environment
    executorch: Environment
    llama_cpp: Environment

    @classmethod
    def under(cls, root: Path) -> Environments:
        """One folder each; nothing is made yet."""
        build = build_variables(cpu_flags(), platform.machine())
        return cls(
            Environment("onnxruntime_genai", root),
            Environment("optimum_executorch", root),
            Environment("llama_cpp", root, build),
        )


def all_peers(quantizations: Sequence[str], environments: Environments) -> list[Peer]:
    """Every row, in the table's order."""
    settings = Settings.from_environment()
    genai = GenaiEngine(environments.genai)
    artifacts = [OurArtifact(quantization, OUT) for quantization in quantizations]
    peers: list[Peer] = [Ours(artifact, genai, settings) for artifact in artifacts]
    peers.append(Ours(artifacts[0], genai, settings, ENGINE_KERNELS))
    peers.append(OursInApp(artifacts[0], genai, settings, IN_APP))
    peers += [GenaiOnOurArtifact(artifacts[0], genai, as_shipped=shipped) for shipped in (False, True)]
    peers += [GenaiBuilder(genai, as_shipped=shipped, out=OUT) for shipped in (False, True)]
    executorch = ExecutorchEngine(environments.executorch)
    programs = [
        OurArtifact(quantization, OUT, backend="executorch", context_length=CONTEXT_LENGTH)
        for quantization in quantizations
        # ExecuTorch cannot keep all of a GGUF file's integers.
        if quantization != "source"
    ]
    peers += [Ours(program, executorch, settings, EXECUTORCH) for program in programs]
    peers += [Ours(program, executorch, settings, EXECUTORCH_ENGINE_KERNELS) for program in programs[:1]]
    peers += [ExecutorchOnOurArtifact(program, executorch) for program in programs[:1]]
    peers.append(OptimumExecutorch(executorch, OUT))
    library = LlamaCpp(environments.llama_cpp, cpu_flags())
    peers += [LlamaCppRow(library, file_type, OUT) for file_type in ("Q4_0", "Q4_K_M", None)]
    return peers


def choose(peers: Sequence[Peer], patterns: Sequence[str] | None) -> list[Peer]:
    """Rows that match any of the patterns; all of them without patterns.

    Raises:
        PeerFailed: a pattern that matches no row.
    """
    if not patterns:
        return list(peers)
    for pattern in patterns:
        if not any(fnmatch.fnmatch(peer.name, pattern) for peer in peers):
            names = ", ".join(peer.name for peer in peers)
            raise PeerFailed(f"no row is called {pattern!r}; there are: {names}")
    return [peer for peer in peers if any(fnmatch.fnmatch(peer.name, pattern) for pattern in patterns)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; 0 when every row is complete, 1 when one failed, 2 when nothing could start."""
    # As an exception, so that a child that is running is ended too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    options = parse_arguments(arguments)
    environments = Environments.under(ROOT / ".venvs")
    kept = KeptAnswers(OUT / "kept", fresh=options.fresh)
    try:
        peers = choose(all_peers(options.quant, environments), options.only)
        if options.list:
            print("\n".join(peer.name for peer in peers))
            return 0
        workload = workload_of(options)
        gguf = find_gguf(options.model, OUT)
        weights = prepare_weights(gguf, OUT, workload, environments.genai)
    except PeerFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    place = Workplace(
        OUT,
        weights.gguf,
        weights.gguf_sha256,
        weights.hf_folder,
        workload,
        weights.vocab_size,
        weights.windows,
        kept,
    )
    results = _run(peers, place, quick=options.quick)
    output = output_of(options)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.with_suffix(".json").write_text(results.model_dump_json(indent=1) + "\n")
    page = render(results)
    output.write_text(page)
    if output == PUBLISHED / "latest.md":
        show_in_readme(ROOT / "README.md", results)
    print(f"\n{page}\nwritten to {output}")
    return 1 if any(row.failure for row in results.rows) or results.reference_failure else 0


def _run(peers: Sequence[Peer], place: Workplace, *, quick: bool) -> Results:
    workload = place.workload
    rows = run_all(peers, place)
    score: Score | None = None
    reference_failure: str | None = None
    try:
        score = reference_score(place)
        print(f"transformers, fp32: perplexity: {score.perplexity:.3f}", flush=True)
    except PeerFailed as error:
        reference_failure = str(error)
    return Results(
        finished_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        quick=quick,
        model=place.gguf.stem,
        model_sha256=place.gguf_sha256,
        prompt_tokens=workload.prompt_tokens,
        generate_tokens=workload.generate_tokens,
        threads=workload.threads,
        rounds=workload.rounds,
        warmup=workload.warmup,
        repetitions=workload.repetitions,
        windows=len(place.windows),
        window_tokens=WINDOW_TOKENS,
        text=TEXT.name,
        text_sha256=TEXT_SHA256,
        machine=describe_machine(ROOT),
        reference=score,
        reference_failure=reference_failure,
        rows=rows,
    )


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not positive")
    return value
