"""Drives onnxruntime-genai through its Python API; runs inside the peer's own environment.

One prefill, the first token greedily, then single-token steps at growing depth: the work of our runner.
A step is one call into the native library, so the interpreter's share of a step is microseconds; its
share of the memory is measured before the engine is imported and reported apart.

Usage: onnxruntime_genai_driver.py profile|perplexity MODEL_FOLDER REQUEST.json OUTPUT.json
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

# Read when the library loads, which is after this.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def status_bytes(field: str) -> int:
    """A kB field of /proc/self/status, e.g. VmRSS or VmHWM, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise KeyError(f"no {field} in /proc/self/status")


def load(folder: Path, threads: int | None) -> Any:
    """Load a model folder; ``threads`` None leaves the engine its default."""
    import onnxruntime_genai

    config = onnxruntime_genai.Config(str(folder))
    if threads is not None:
        options = {"model": {"decoder": {"session_options": {"intra_op_num_threads": threads}}}}
        config.overlay(json.dumps(options))
    return onnxruntime_genai.Model(config)


def new_generator(model: Any, length: int) -> Any:
    """A greedy generator over an empty KV cache that ignores end-of-text up to ``length`` tokens."""
    import onnxruntime_genai

    parameters = onnxruntime_genai.GeneratorParams(model)
    parameters.set_search_options(max_length=length, min_length=length, do_sample=False, batch_size=1)
    return onnxruntime_genai.Generator(model, parameters)


def profile(folder: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Time prefill and every decode step of ``warmup + repetitions`` repetitions."""
    interpreter_rss_bytes = status_bytes("VmRSS")
    # The interpreter loads the shared library here, as a native program does before main.
    import onnxruntime_genai  # noqa: F401

    started = time.perf_counter_ns()
    model = load(folder, request["threads"])
    load_ns = time.perf_counter_ns() - started

    prompt = np.array(request["sequences"][0], dtype=np.int32)
    steps = request["generate_tokens"]
    repetitions: list[dict[str, Any]] = []
    generated: list[int] = []
    for index in range(request["warmup"] + request["repetitions"]):
        generator = new_generator(model, len(prompt) + steps)
        started = time.perf_counter_ns()
        generator.append_tokens(prompt)
        generator.generate_next_token()
        prefill_ns = time.perf_counter_ns() - started
        decode_ns = []
        for _ in range(steps - 1):
            started = time.perf_counter_ns()
            generator.generate_next_token()
            decode_ns.append(time.perf_counter_ns() - started)
        generated = [int(token) for token in generator.get_sequence(0)][len(prompt) :]
        if len(generated) != steps:
            raise SystemExit(f"generated {len(generated)} tokens, {steps} were asked for")
        repetitions.append(
            {"warmup": index < request["warmup"], "prefill_ns": prefill_ns, "decode_ns": decode_ns}
        )
        # The next repetition's KV cache must not live beside this one's.
        del generator
    return {
        "load_ns": load_ns,
        "peak_rss_bytes": status_bytes("VmHWM"),
        "interpreter_rss_bytes": interpreter_rss_bytes,
        "threads": request["threads"],
        "generated": generated,
        "repetitions": repetitions,
    }


def perplexity(folder: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Score every window from an empty KV cache; the artifact must give logits for all positions."""
    model = load(folder, request["threads"])
    total = 0.0
    scored = 0
    for window in request["sequences"]:
        generator = new_generator(model, len(window) + 1)
        generator.append_tokens(np.array(window, dtype=np.int32))
        logits = np.asarray(generator.get_output("logits"), dtype=np.float64)[0]
        if len(logits) != len(window):
            raise SystemExit(f"logits for {len(logits)} of {len(window)} positions: export with --logits all")
        top = logits.max(axis=-1)
        log_sum = np.log(np.exp(logits - top[:, None]).sum(axis=-1)) + top
        targets = np.array(window[1:])
        total += float((log_sum[:-1] - logits[np.arange(len(targets)), targets]).sum())
        scored += len(targets)
        del generator
    return {"negative_log_likelihood": total, "scored_tokens": scored}


def main() -> None:
    """Read the request, do it, write the answer."""
    mode, folder, request_path, output = sys.argv[1:]
    request = json.loads(Path(request_path).read_text())
    modes = {"profile": profile, "perplexity": perplexity}
    Path(output).write_text(json.dumps(modes[mode](Path(folder), request)) + "\n")


if __name__ == "__main__":
    main()
