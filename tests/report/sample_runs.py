"""Runs to report on, with figures that look like measured ones: real and emulated devices, two backends."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from toolkit.store import Store
from toolkit.store.rows import Artifact, Condition, Device, Repetition, Run, StoredRun

PHONE = Device(
    key="1" * 64,
    serial="R5CT10ABCDE",
    kind="adb",
    emulated=False,
    manufacturer="Samsung",
    model="SM-S921B",
    soc="s5e9945",
    abi="arm64-v8a",
    os_version="Android 15",
    api_level=35,
    build="S921BXXS7BYA1",
    cpu_cores=10,
    ram_bytes=8_000_000_000,
)
HOST = replace(
    PHONE,
    key="2" * 64,
    serial="local",
    kind="local",
    manufacturer=None,
    model="Intel Xeon",
    abi="x86_64",
    os_version="Debian GNU/Linux 12 (bookworm)",
    build="6.1",
)
VIRTUAL = replace(
    PHONE,
    key="3" * 64,
    serial="emulator-5601",
    emulated=True,
    manufacturer="Virtual",
    model="Virtual Pixel 8",
    os_version="Android 14",
)
DEVICES = (PHONE, HOST, VIRTUAL)
_SPEED = {PHONE.key: 0.6, HOST.key: 1.0, VIRTUAL.key: 0.8}

# Label, bits per weight that the size follows from, speed, mean KL, top-1 agreement.
SCHEMES = (
    ("fp32", 32.0, 0.35, 1e-9, 1.0),
    ("8da8w channel rtn", 8.3, 0.8, 0.004, 0.975),
    ("8da4w g32 hqq", 4.9, 1.0, 0.09, 0.86),
    ("4w g32 rtn", 4.9, 0.7, 0.07, 0.88),
)
MODELS = (("HuggingFaceTB/SmolLM2-135M-Instruct", 134_515_008), ("Qwen/Qwen3-0.6B", 596_049_920))
BACKENDS = (("onnxruntime", "1.31.1", 1.0), ("executorch", "1.5.1", 0.7))
GENERATED = 128


def artifact(
    model: str, parameters: int, scheme: tuple[str, float, float, float, float], backend: str
) -> Artifact:
    label, bits, *_ = scheme
    name, *rest = label.split()
    identity = f"{model}{label}{backend}"
    return Artifact(
        sha256=hashlib.sha256(identity.encode()).hexdigest(),
        name=f"{model.rsplit('/', 1)[-1]}-{label}-{backend}",
        model=model,
        revision="abc",
        model_type="llama",
        backend=backend,
        backend_version=dict((row[0], row[1]) for row in BACKENDS)[backend],
        quantization=label,
        scheme=name,
        group_size=32 if "g32" in rest else None,
        algorithm=rest[-1] if rest else "rtn",
        preset=None,
        context_length=2048,
        size_bytes=int(parameters * bits / 8),
        unique_parameters=parameters,
        stored_parameters=parameters,
    )


def manifest(scheme: tuple[str, float, float, float, float]) -> dict[str, Any]:
    return {
        "schema": "slm-artifact/1",
        "parity": {
            "positions": 96,
            "max_abs_diff": 0.5,
            "mean_kl": scheme[3],
            "top1_agreement": scheme[4],
            "threshold": "none",
            "passed": True,
        },
    }


def run_of(
    made: Artifact,
    device: Device,
    *,
    number: int,
    decode: float,
    status: Any = "ok",
    generated: int = GENERATED,
    **changes: Any,
) -> StoredRun:
    """A run at about ``decode`` tokens per second; its samples are seeded by ``number``."""
    noise = random.Random(number)
    step_ns = 1e9 / decode
    repetitions = tuple(
        Repetition(
            index=index,
            warmup=index == 0,
            started_unix_ns=1_760_000_000_000_000_000 + index,
            prefill_ns=int(512e9 / (decode * 6) * noise.gauss(1, 0.03)),
            decode_ns=tuple(
                int(step_ns * (1 + step / 1500) * abs(noise.gauss(1, 0.02)) * (1.5 if step == 70 else 1))
                for step in range(generated - 1)
            ),
        )
        for index in range(6)
    )
    ok = status == "ok"
    run = Run(
        id=hashlib.sha256(f"run{number}".encode()).hexdigest()[:16],
        device_key=device.key,
        artifact_sha256=made.sha256,
        status=status,
        error=None if ok else "the runner was killed (signal 9)",
        protocol=1,
        created_unix_ns=1_760_000_000_000_000_000 + number * 60_000_000_000,
        toolkit_version="0.1.0",
        engine=made.backend,
        engine_version=made.backend_version,
        runner_version="0.1.0",
        kernels="own:avx512vnni" if made.backend == "onnxruntime" else "own",
        abi=device.abi or "x86_64",
        bundle_sha256="b" * 64,
        argv=("slm-runner", "profile"),
        exit_code=0 if ok else None,
        prompt_tokens=512,
        generate_tokens=generated,
        depth=0,
        prefill_chunk=0,
        context_length=2048,
        warmup=1,
        repetitions=5,
        threads=4,
        affinity=(),
        load_ns=150_000_000,
        prefill_tokens_per_second=decode * 6 if ok else None,
        prefill_stdev=1.5 if ok else None,
        decode_tokens_per_second=decode if ok else None,
        decode_stdev=0.5 if ok else None,
        ttft_ns=int(512e9 / (decode * 6)) if ok else None,
        peak_bytes=int(made.size_bytes * 1.2 + 110e6) if ok else None,
        memory_method="VmHWM",
        after_load_bytes=int(made.size_bytes * 1.1 + 30e6) if ok else None,
        max_swap_bytes=0,
        major_faults=3,
        greedy_matched=30 if ok else None,
        greedy_total=32 if ok else None,
    )
    return StoredRun(
        run=replace(run, **changes),
        device=device,
        artifact=made,
        repetitions=repetitions if ok else (),
        conditions=(Condition(moment="before", repetition=None, unix_ns=1, cpu_busy=0.1),),
    )


def sample_runs(
    models: tuple[tuple[str, int], ...] = MODELS, devices: tuple[Device, ...] = DEVICES
) -> Iterator[tuple[StoredRun, dict[str, Any]]]:
    """Every model, scheme, backend and device; one run was killed for memory."""
    number = 0
    for model, parameters in models:
        for scheme in SCHEMES:
            for backend, _, backend_speed in BACKENDS:
                made = artifact(model, parameters, scheme, backend)
                for device in devices:
                    number += 1
                    decode = 2.4e10 / parameters * scheme[2] * backend_speed * _SPEED.get(device.key, 0.9)
                    killed = scheme[0] == "fp32" and device is PHONE and parameters > 5e8
                    status = "oom_killed" if killed else "ok"
                    yield run_of(made, device, number=number, decode=decode, status=status), manifest(scheme)


def fill(store: Store, runs: Iterator[tuple[StoredRun, dict[str, Any]]]) -> int:
    """Write all runs; returns how many."""
    return sum(store.add_run(stored, described) for stored, described in runs)
