"""Files of llama-bench, as builds of several years wrote them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from test_store_import import LLAMA_BENCH

from toolkit.store import Store
from toolkit.store.importing import Imported, import_file

_COMMON = {
    "build_commit": "aaaa001", "build_number": 1300, "cpu_info": "", "gpu_info": "",
    "model_filename": "/data/local/tmp/tinyllama-1.1b.Q4_0.gguf", "model_size": 636000000,
    "model_n_params": 1100048384, "n_threads": 4, "n_gpu_layers": 99, "main_gpu": 0, "tensor_split": "0.00",
    "n_prompt": 512, "n_gen": 0, "test_time": "2023-10-01T10:00:00Z", "avg_ns": 1_005_000_000,
    "stddev_ns": 7_071_067, "avg_ts": 509.465, "stddev_ts": 3.584,
    "samples_ns": [1_000_000_000, 1_010_000_000], "samples_ts": [512, 506.931],
}  # fmt: skip
# As builds of these years wrote it; the fork by ikawrakow kept the fields of 2024.
OF_2023: dict[str, Any] = {
    **_COMMON, "cuda": False, "opencl": False, "metal": False, "gpu_blas": False, "blas": False,
    "model_type": "LLaMA 1B mostly Q4_0", "n_batch": 512, "f16_kv": True, "mul_mat_q": True,
}  # fmt: skip
OF_2024: dict[str, Any] = {
    **_COMMON, "cuda": False, "vulkan": True, "kompute": False, "metal": False, "sycl": False, "rpc": "0",
    "gpu_blas": True, "blas": True, "model_type": "llama 1B Q4_0", "n_batch": 2048, "n_ubatch": 512,
    "type_k": "f16", "type_v": "q8_0", "split_mode": "layer", "no_kv_offload": False, "flash_attn": True,
    "use_mmap": True, "embeddings": False,
}  # fmt: skip
OF_2026: dict[str, Any] = {
    **LLAMA_BENCH, "flash_attn": -1, "n_gpu_layers": -1, "devices": "auto", "load_mode": "mmap",
    "no_op_offload": 0, "tensor_buft_overrides": ["a", "b"], "fit_target": 1024,
}  # fmt: skip
del OF_2026["use_mmap"]


def summed_up(row: dict[str, Any]) -> dict[str, Any]:
    """A row with the averages of its samples, as llama-bench computes them."""
    samples = row["samples_ns"]
    timed = row["n_gen"] if "@" in row.get("test", "") else row["n_prompt"] + row["n_gen"]
    rates = [timed * 1e9 / ns for ns in samples]
    averages = {"avg_ns": sum(samples) // len(samples), "avg_ts": sum(rates) / len(rates)}
    return {**row, **averages, "samples_ts": rates}


def imported(
    store: Store, file: Path, *rows: dict[str, Any], name: str | None = None, as_they_are: bool = False
) -> Imported:
    file.write_text(json.dumps([row if as_they_are else summed_up(row) for row in rows]))
    return import_file(store, file, device_name=name)
