"""Points with figures whose answers are known."""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace
from typing import Any

from sample_runs import PHONE
from stored_runs import ARTIFACT

from toolkit.analysis.condition_key import ConditionKey
from toolkit.models.catalogue.catalogue import shipped
from toolkit.store.rows import Device
from toolkit.studies.data import Number, Point

DEVICE = replace(PHONE, soc=None, build="X", cpu_cores=8)
_TEXT: dict[str, Any] = {
    "model": "m",
    "quantization": "8da4w g32",
    "algorithm": "hqq",
    "backend": "onnxruntime",
    "backend_version": "1.31.1",
    "engine": "onnxruntime",
    "engine_version": "1.31.1",
    "device_serial": "R5CT10ABCDE",
    "abi": "arm64-v8a",
    "artifact_sha256": "a" * 64,
    "bundle_sha256": "b" * 64,
    "device_key": DEVICE.key,
    "emulated": False,
    "protocol": 2,
    "affinity": (),
    "settings": (),
    "context_length": 2048,
    "prompt_tokens": 50,
    "generate_tokens": 50,
    "depth": 0,
    "prefill_chunk": 0,
    "warmup": 1,
    "threads": 4,
}


def number(median: float, spread: float = 0.01) -> Number:
    """A figure whose replicates lie evenly within ``spread`` around its median."""
    drawn = tuple(median * (1 + spread * (step - 50) / 50) for step in range(101))
    return Number(median, drawn[2], drawn[-3], drawn, repetitions=5, runs=1)


def point(
    model: str,
    *,
    device: Device = DEVICE,
    quantization: str = "8da4w g32",
    parameters: int | None = None,
    spread: float = 0.01,
    conditions: dict[str, Any] | None = None,
    **medians: float,
) -> Point:
    """A point of a model of the catalogue, or of a made-up one."""
    entry = shipped()[model] if model in shipped() else None
    counted = entry.parameters if entry else None
    unique = parameters or (counted.unique if counted else 1_000_000)
    stored = counted.stored if counted and parameters is None else unique
    sha256 = hashlib.sha256(f"{model}{quantization}".encode()).hexdigest()
    artifact = replace(
        ARTIFACT,
        sha256=sha256,
        name=model,
        model=f"random:{model}",
        revision=None,
        quantization=quantization,
        scheme=quantization.split()[0],
        size_bytes=unique // 2,
        unique_parameters=unique,
        stored_parameters=stored,
    )
    known = {part.name: None for part in fields(ConditionKey)} | _TEXT | (conditions or {})
    key = ConditionKey(**known)
    key = replace(key, artifact_sha256=sha256, model=model, quantization=quantization, device_key=device.key)
    return Point(
        model=model,
        entry=entry,
        artifact=artifact,
        device=device,
        key=key,
        random_weights=True,
        numbers={name: number(median, spread) for name, median in medians.items()},
        run_ids=(f"run-{model}-{quantization}",),
    )
