"""llama-bench's JSON rows, so that tools written for llama.cpp read our results.

llama-bench has one row per test, either prefill (``n_gen`` 0) or decode (``n_prompt`` 0), so one run
gives two rows. Our decode steps follow the prompt; in llama-bench's words they run at a depth of
``depth + prompt_tokens``, and there are ``generate_tokens - 1`` of them, because the first token
belongs to prefill. What else has no counterpart here is empty, zero or false.

A run of llama-bench's own goes out with the settings that it came with and no others, and with the identity
that it has here (``slm_*``): imported again it is the same run, under the same conditions.
"""

from __future__ import annotations

import statistics
from datetime import UTC, datetime
from typing import Any

from toolkit.store.llama_bench_import import LLAMA_CPP, PROTOCOL, serial_of
from toolkit.store.measurements import tokens_per_second
from toolkit.store.rows import StoredRun

# What runs of this toolkit have no counterpart of.
_NO_SETTINGS = {
    "cpu_strict": False,
    "poll": 0,
    "type_k": "",
    "type_v": "",
    "n_gpu_layers": 0,
    "split_mode": "none",
    "main_gpu": 0,
    "no_kv_offload": False,
    "flash_attn": False,
    "tensor_split": "0.00",
    "use_mmap": False,
    "embeddings": False,
}


def llama_bench_rows(stored: StoredRun) -> list[dict[str, Any]]:
    """The prefill row and the decode row of a run, as far as it timed them."""
    run = stored.run
    measured = [repetition for repetition in stored.repetitions if not repetition.warmup]
    rows = []
    together = [stored.measured("combined_ns", repetition.index) for repetition in measured]
    if any(together):
        # Of a file of llama-bench's own, written with -pg.
        samples = [round(ns) for ns in together if ns]
        generated = run.generate_tokens - 1
        return [
            _row(stored, n_prompt=run.prompt_tokens, n_gen=generated, n_depth=run.depth, samples_ns=samples)
        ]
    prefills_ns = [repetition.prefill_ns for repetition in measured if repetition.prefill_ns is not None]
    if prefills_ns:
        rows.append(
            _row(stored, n_prompt=run.prompt_tokens, n_gen=0, n_depth=run.depth, samples_ns=prefills_ns)
        )
    if run.generate_tokens > 1:
        rows.append(
            _row(
                stored,
                n_prompt=0,
                n_gen=run.generate_tokens - 1,
                n_depth=run.depth + run.prompt_tokens,
                samples_ns=[repetition.decode_total_ns or 0 for repetition in measured],
            )
        )
    return rows


def _row(
    stored: StoredRun, *, n_prompt: int, n_gen: int, n_depth: int, samples_ns: list[int]
) -> dict[str, Any]:
    run, artifact = stored.run, stored.artifact
    samples_ts = [tokens_per_second(n_prompt + n_gen, ns) for ns in samples_ns]
    batch = run.prefill_chunk or run.prompt_tokens
    started = datetime.fromtimestamp(run.created_unix_ns // 1_000_000_000, UTC)
    row = {
        "build_commit": run.runner_version or "",
        "build_number": 0,
        "cpu_info": _cpu_info(stored),
        "gpu_info": "",
        "backends": f"{run.engine} {run.engine_version}",
        "model_filename": artifact.name,
        "model_type": f"{artifact.model_type} {artifact.quantization}",
        "model_size": artifact.size_bytes,
        "model_n_params": artifact.unique_parameters,
        "n_batch": batch,
        "n_ubatch": batch,
        "n_threads": run.threads,
        "cpu_mask": hex(sum(1 << cpu for cpu in run.affinity)),
        **_NO_SETTINGS,
        "n_prompt": n_prompt,
        "n_gen": n_gen,
        "n_depth": n_depth,
        "test_time": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "avg_ns": round(statistics.fmean(samples_ns)),
        "stddev_ns": round(_stdev(samples_ns)),
        "avg_ts": statistics.fmean(samples_ts),
        "stddev_ts": _stdev(samples_ts),
        "samples_ns": samples_ns,
        "samples_ts": samples_ts,
    }
    if run.protocol != PROTOCOL:
        return row
    kept = {name: value for name, value in row.items() if name != "n_batch" and name not in _NO_SETTINGS}
    return kept | _as_it_came(stored)


def _as_it_came(stored: StoredRun) -> dict[str, Any]:
    """What describes a run of llama-bench's own, or one of ours that came back from its format."""
    run, device = stored.run, stored.device
    named = {} if device.serial == serial_of(device.key) else {"slm_device_name": device.serial}
    settings = dict(run.settings or {})
    backends = settings.pop("backends", "")
    if run.engine != LLAMA_CPP:
        backends = f"{run.engine} {run.engine_version}"
    return {
        "cpu_info": f"emulated: {device.model or ''}" if device.emulated else device.model or "",
        "gpu_info": device.soc or "",
        "backends": backends,
        "n_ubatch": run.prefill_chunk,
        **settings,
        "slm_run_id": run.id,
        "slm_artifact_sha256": run.artifact_sha256,
        # That of the first run that was imported with this file; rows go out in another order.
        "slm_backend_version": stored.artifact.backend_version,
        "slm_device_key": device.key,
        **named,
    }


def _cpu_info(stored: StoredRun) -> str:
    device = stored.device
    name = " ".join(part for part in (device.manufacturer, device.model, device.soc) if part) or device.serial
    # Two phones of one model are two devices; llama-bench has no other field for that.
    name = f"{name} (device {device.key[:8]})"
    return f"emulated: {name}" if device.emulated else name


def _stdev(samples: list[int] | list[float]) -> float:
    return statistics.stdev(samples) if len(samples) > 1 else 0.0
