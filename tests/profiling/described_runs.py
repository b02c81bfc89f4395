"""A run description and the result file that answers it, without a device."""

from __future__ import annotations

import json
from typing import Any

from toolkit.artifact import Artifact
from toolkit.devices.base import DeviceInfo, Readings
from toolkit.profiling.description import BundleIdentity, RunDescription
from toolkit.profiling.request import ProfileRequest

RUN_ID = "0123456789abcdef"
OPTIONS = ProfileRequest(prompt_tokens=8, generate_tokens=3, repetitions=2, warmup=1, threads=1)


def description(artifact: Artifact, **changes: Any) -> RunDescription:
    run = RunDescription(
        run_id=RUN_ID,
        created_unix_ns=1_700_000_000_000_000_000,
        toolkit_version="0.1.0",
        device=DeviceInfo(serial="phone-1", kind="adb", state="device", model="Phone", emulated=True),
        options=OPTIONS,
        manifest=artifact.manifest,
        bundle=BundleIdentity(engine="onnxruntime", engine_version="1.31.1", abi="x86_64", sha256="b" * 64),
        argv=("runner", "profile"),
        before=Readings(unix_ns=1),
    )
    return run.model_copy(update=changes)


def result_records(run: RunDescription) -> list[dict[str, Any]]:
    """The records of a good result; the greedy tokens are the reference's own."""
    options = run.options
    reference = run.manifest.greedy_reference
    assert reference is not None
    start = {
        "record": "start", "schema": "slm-result/1", "mode": "profile", "engine": "onnxruntime",
        "engine_version": "1.31.1", "kernels": "own",
        "runner_version": "0.1.0", "abi": "x86_64", "threads": 1, "affinity": [],
        "prompt_tokens": options.prompt_tokens, "generate_tokens": options.generate_tokens,
        "depth": options.depth, "prefill_chunk": 512, "context_length": 256, "warmup": options.warmup,
        "repetitions": options.repetitions, "load_ns": 1_000_000, "started_unix_ns": 1,
    }  # fmt: skip
    greedy = {"record": "greedy", "prompt_ids": reference.prompt_ids, "token_ids": reference.token_ids}
    repetitions = [
        {
            "record": "repetition", "index": index, "warmup": index < options.warmup, "gate": "off",
            "gate_wait_ns": 0, "started_unix_ns": 1, "started_ns": 1,
            "prefill_ns": 1_000_000 * (index + 1), "decode_ns": [500_000, 1_500_000],
            "generated_tokens": options.generate_tokens,
        }
        for index in range(options.warmup + options.repetitions)
    ]  # fmt: skip
    memory = {
        "record": "memory", "method": "VmHWM", "peak_bytes": 1000, "vm_hwm_bytes": 1000,
        "max_rss_swap_bytes": 900, "max_swap_bytes": 0, "after_load_bytes": 800, "major_faults": 0,
        "samples": 3, "interval_ms": 10,
    }  # fmt: skip
    records: list[dict[str, Any]] = [start, greedy, *repetitions, memory]
    records.append({"record": "end", "status": "ok", "records": len(records)})
    return [{"run_id": run.run_id, **record} for record in records]


def as_text(records: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)
