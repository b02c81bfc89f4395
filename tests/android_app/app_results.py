"""Results as the runner writes them, with whatever durations."""

from __future__ import annotations

import json
from typing import Any

START = {
    **{"record": "start", "schema": "slm-result/1", "mode": "profile", "engine": "onnxruntime"},
    **{"engine_version": "1.31.1", "runner_version": "0.1.0", "abi": "x86_64", "threads": 2, "affinity": []},
    **{"depth": 0, "prefill_chunk": 512, "context_length": 1024, "load_ns": 5, "started_unix_ns": 6},
}
MEMORY = {
    **{"record": "memory", "method": "VmHWM", "peak_bytes": 4096, "vm_hwm_bytes": 4096},
    **{"max_rss_swap_bytes": 1, "max_swap_bytes": 0, "after_load_bytes": 1, "major_faults": 0},
    **{"samples": 3, "interval_ms": 10},
}
REPETITION = {"record": "repetition", "gate": "off", "gate_wait_ns": 0, "started_unix_ns": 1, "started_ns": 1}


def result_text(
    prefill_ns: list[int], decode_ns: list[list[int]], *, prompt: int, warmup: int = 1, run_id: str = "r1"
) -> str:
    steps = len(decode_ns[0])
    counts = {"prompt_tokens": prompt, "generate_tokens": steps + 1}
    records: list[dict[str, Any]] = [
        START | counts | {"warmup": warmup, "repetitions": len(prefill_ns) - warmup},
        *(
            REPETITION
            | {"index": n, "warmup": n < warmup, "prefill_ns": prefill, "decode_ns": decode}
            | {"generated_tokens": steps + 1}
            for n, (prefill, decode) in enumerate(zip(prefill_ns, decode_ns, strict=True))
        ),
        MEMORY,
    ]
    records.append({"record": "end", "status": "ok", "records": len(records)})
    return "".join(json.dumps({**one, "run_id": run_id}) + "\n" for one in records)
