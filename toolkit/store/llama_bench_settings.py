"""llama-bench's settings under one spelling, whichever year's build wrote them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from toolkit.store.rows import Setting

# They describe the build, a test or its outcome, or have a column of ours; everything else is a setting.
_NOT_SETTINGS = frozenset(
    "build_commit build_number cpu_info gpu_info model_filename model_type model_size model_n_params "
    "n_prompt n_gen n_depth test_time n_threads cpu_mask n_ubatch avg_ns stddev_ns avg_ts stddev_ts "
    "samples_ns samples_ts test "
    "slm_run_id slm_artifact_sha256 slm_backend_version slm_device_key slm_device_name".split()
)
# Until 2024 each back end was a field of its own: true when it was compiled in.
BACKEND_FLAGS = (
    *("cuda", "cublas", "opencl", "vulkan", "kompute", "metal", "sycl", "rocm", "hipblas", "cann", "musa"),
)
_NO_BACKENDS = frozenset({"gpu_blas", "blas", "rpc"})
# Written as 0 and 1, as false and true, or as words.
_SWITCHES = frozenset(
    "flash_attn use_mmap embeddings no_kv_offload cpu_strict no_op_offload no_host mul_mat_q use_direct_io "
    "repack".split()
)
_WORDS: Mapping[Any, Setting] = {
    0: False, 1: True, -1: "auto", "0": False, "1": True, "-1": "auto", "off": False, "on": True,
    "false": False, "true": True, "auto": "auto",
}  # fmt: skip


def backends_of(row: Mapping[str, Any]) -> str:
    """The back ends that were compiled in, e.g. "CPU" or "CUDA,Vulkan"."""
    named = row.get("backends")
    if isinstance(named, str) and named:
        return named
    flags = [name for name in BACKEND_FLAGS if row.get(name) is True]
    if row.get("rpc") not in (None, False, 0, "0", ""):
        flags.append("rpc")
    if not flags and row.get("blas") is True:
        flags = ["blas"]
    return ",".join(name.upper() for name in flags) or "CPU"


def settings_of(row: Mapping[str, Any]) -> dict[str, Setting]:
    """Everything in a row that may move its figure and has no column, by llama-bench's newest names."""
    found: dict[str, Setting] = {}
    for name, value in row.items():
        if name in _NOT_SETTINGS or name in BACKEND_FLAGS or name in _NO_BACKENDS or value is None:
            continue
        if name == "f16_kv":
            found["type_k"] = found["type_v"] = "f16" if value else "f32"
        elif name == "load_mode":
            found["use_mmap"] = value == "mmap"
            if value not in ("mmap", "none"):
                found["load_mode"] = _plain(value)
        elif name in _SWITCHES and not isinstance(value, list | dict):
            found[name] = _WORDS.get(value, _plain(value))
        else:
            found[name] = _plain(value)
    found["backends"] = backends_of(row)
    return found


def _plain(value: Any) -> Setting:
    return value if isinstance(value, Setting) else json.dumps(value, sort_keys=True)
