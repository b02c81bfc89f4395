"""Drives ExecuTorch's own LLM runner through its Python API; runs inside the peer's own environment.

The runner takes text, not token ids, and stops at an end of text. So the prompts are stretches of the text
that perplexity is taken on, and the first whose greedy continuation is long enough is used: how long a
token takes does not depend on which one it is. The runner calls back once per token; from one call to the
next is one decode step, and an interpreter's call is microseconds against milliseconds.

Usage: executorch_driver.py profile|perplexity MODEL_FOLDER REQUEST.json OUTPUT.json
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NS_PER_MS = 1_000_000


def status_bytes(field: str) -> int:
    """A kB field of /proc/self/status, e.g. VmRSS or VmHWM, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise KeyError(f"no {field} in /proc/self/status")


def load_engine(threads: int) -> None:
    """Import the libraries that register kernels, and size the thread pool that all of them share."""
    from executorch.extension.llm.custom_ops import custom_ops  # noqa: F401
    from executorch.extension.pybindings import portable_lib
    from executorch.kernels import quantized  # noqa: F401

    portable_lib._unsafe_reset_threadpool(threads)
    if portable_lib._threadpool_get_thread_count() != threads:
        raise SystemExit(f"ExecuTorch did not take {threads} threads")


@dataclass(frozen=True)
class Generated:
    """One generation.

    Attributes:
        started_ns: before the prompt was handed over; tokenizing 512 tokens takes about 0.6 ms of prefill.
        token_ns: when each token came.
        prompt_tokens: by the runner's account.
        load_ms: time the runner took to load the program, before its first generation only.
    """

    started_ns: int
    token_ns: list[int]
    prompt_tokens: int
    load_ms: int

    def as_repetition(self, warmup: bool) -> dict[str, Any]:
        """The first token belongs to prefill."""
        steps = zip(self.token_ns, self.token_ns[1:], strict=False)
        return {
            "warmup": warmup,
            "prefill_ns": self.token_ns[0] - self.started_ns,
            "decode_ns": [after - before for before, after in steps],
        }


def generate(runner: Any, prompt: str, count: int) -> Generated:
    """Generate greedily from an empty KV cache; fewer than ``count`` tokens come before an end of text."""
    from executorch.extension.llm.runner import GenerationConfig

    config = GenerationConfig(max_new_tokens=count, temperature=0.0, echo=False, num_bos=0, num_eos=0)
    token_ns: list[int] = []
    told: list[dict[str, int]] = []

    def keep(stats: Any) -> None:
        load_ms = stats.model_load_end_ms - stats.model_load_start_ms
        told.append({"prompt_tokens": stats.num_prompt_tokens, "load_ms": load_ms})

    runner.reset()
    started_ns = time.perf_counter_ns()
    runner.generate(
        prompt,
        config,
        token_callback=lambda piece: token_ns.append(time.perf_counter_ns()),
        stats_callback=keep,
    )
    return Generated(started_ns, token_ns, **told[0])


def prompts(tokenizer_file: Path, sequences: list[list[int]]) -> list[str]:
    """Texts that the tokenizer turns back into as many tokens as they were made from."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    texts = [tokenizer.decode(ids, skip_special_tokens=False) for ids in sequences]
    return [
        text
        for text, ids in zip(texts, sequences, strict=True)
        if len(tokenizer.encode(text, add_special_tokens=False).ids) == len(ids)
    ]


def profile(folder: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Time prefill and every decode step of ``warmup + repetitions`` repetitions."""
    candidates = prompts(folder / "tokenizer.json", request["sequences"])
    # The Python module links PyTorch, which running a program does not need: its memory does not count.
    import torch  # noqa: F401

    interpreter_rss_bytes = status_bytes("VmRSS")
    load_engine(request["threads"])
    from executorch.extension.llm.runner import TextLLMRunner

    started = time.perf_counter_ns()
    runner = TextLLMRunner(str(folder / "model.pte"), str(folder / "tokenizer.json"))
    construct_ns = time.perf_counter_ns() - started

    count = request["generate_tokens"]
    warm, prompt = first_long_enough(runner, candidates, count)
    if warm.prompt_tokens != len(request["sequences"][0]):
        raise SystemExit(f"the runner counts {warm.prompt_tokens} prompt tokens")
    further = request["warmup"] - 1 + request["repetitions"]
    runs = [warm] + [generate(runner, prompt, count) for _ in range(further)]
    return {
        # The program is loaded when the first prompt comes, which the warm-up's prefill then includes.
        "load_ns": construct_ns + warm.load_ms * NS_PER_MS,
        "peak_rss_bytes": status_bytes("VmHWM"),
        "interpreter_rss_bytes": interpreter_rss_bytes,
        "threads": request["threads"],
        "repetitions": [run.as_repetition(index < request["warmup"]) for index, run in enumerate(runs)],
    }


def first_long_enough(runner: Any, candidates: list[str], count: int) -> tuple[Generated, str]:
    """The first prompt that is answered with ``count`` tokens; answering it is the warm-up."""
    for prompt in candidates:
        generated = generate(runner, prompt, count)
        if len(generated.token_ns) == count:
            return generated, prompt
    raise SystemExit(f"no prompt of {len(candidates)} is answered with {count} tokens")


def perplexity(folder: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Score every window from position 0; the program must give logits for all positions."""
    import torch

    load_engine(request["threads"])
    from executorch.extension.pybindings import portable_lib

    module = portable_lib._load_for_executorch(str(folder / "model.pte"))
    # Some programs want the position of every token, others of the first only.
    every_position = module.method_meta("forward").input_tensor_meta(1).sizes()[0] > 1
    total = 0.0
    scored = 0
    for window in request["sequences"]:
        positions = torch.arange(len(window)) if every_position else torch.zeros(1, dtype=torch.long)
        logits = module.forward((torch.tensor([window]), positions))[0][0]
        if len(logits) != len(window):
            raise SystemExit(f"logits for {len(logits)} of {len(window)} positions")
        targets = torch.tensor(window[1:])
        loss = torch.nn.functional.cross_entropy(logits[:-1].double(), targets, reduction="sum")
        total += float(loss)
        scored += len(targets)
    return {"negative_log_likelihood": total, "scored_tokens": scored}


def main() -> None:
    """Read the request, do it, write the answer."""
    mode, folder, request_path, output = sys.argv[1:]
    request = json.loads(Path(request_path).read_text())
    modes = {"profile": profile, "perplexity": perplexity}
    Path(output).write_text(json.dumps(modes[mode](Path(folder), request)) + "\n")


if __name__ == "__main__":
    main()
