"""Rows to put into a store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from toolkit.store.rows import Artifact, Condition, Device, Repetition, Run, StoredRun

DEVICE = Device(
    key="d" * 64,
    serial="emulator-5601",
    kind="adb",
    emulated=True,
    manufacturer="Virtual",
    model="Virtual Pixel 8",
    soc=None,
    abi="x86_64",
    os_version="Android 14",
    api_level=34,
    build="virtual/1",
    cpu_cores=2,
    ram_bytes=8_000_000_000,
)

ARTIFACT = Artifact(
    sha256="a" * 64,
    name="smollm2-135m-instruct-ort-8da4w",
    model="HuggingFaceTB/SmolLM2-135M-Instruct",
    revision="abc",
    model_type="llama",
    backend="onnxruntime",
    backend_version="1.31.1",
    quantization="8da4w g32 hqq",
    scheme="8da4w",
    group_size=32,
    algorithm="hqq",
    preset=None,
    context_length=2048,
    size_bytes=92_000_000,
    unique_parameters=134_515_008,
    stored_parameters=134_515_008,
)

RUN = Run(
    id="0123456789abcdef",
    device_key=DEVICE.key,
    artifact_sha256=ARTIFACT.sha256,
    status="ok",
    error=None,
    protocol=1,
    created_unix_ns=1_700_000_000_000_000_000,
    toolkit_version="0.1.0",
    engine="onnxruntime",
    engine_version="1.31.1",
    runner_version="0.1.0",
    kernels="own",
    abi="x86_64",
    bundle_sha256="b" * 64,
    argv=("slm-runner-ort", "profile"),
    exit_code=0,
    prompt_tokens=512,
    generate_tokens=4,
    depth=0,
    prefill_chunk=0,
    context_length=2048,
    warmup=1,
    repetitions=2,
    threads=2,
    affinity=(0, 1),
    load_ns=150_000_000,
    prefill_tokens_per_second=512.0,
    prefill_stdev=1.5,
    decode_tokens_per_second=100.0,
    decode_stdev=0.5,
    ttft_ns=1_000_000_000,
    peak_bytes=250_000_000,
    memory_method="VmHWM",
    greedy_matched=32,
    greedy_total=32,
)

REPETITIONS = tuple(
    Repetition(
        index=index,
        warmup=index == 0,
        started_unix_ns=1_700_000_000_000_000_000 + index,
        prefill_ns=1_000_000_000 + index,
        decode_ns=(10_000_000, 10_000_001, 10_000_002),
    )
    for index in range(3)
)

CONDITIONS = (
    Condition(moment="before", repetition=None, unix_ns=1, cpu_busy=0.1, cpu_frequencies_khz=(1, 2)),
    Condition(moment="after", repetition=None, unix_ns=2, thermal_status=0, charging=False),
)

MANIFEST: dict[str, Any] = {"schema": "slm-artifact/1", "name": ARTIFACT.name}


def stored_run(*, serial: str = DEVICE.serial, emulated: bool = True, **changes: Any) -> StoredRun:
    """A whole run; ``changes`` are fields of Run. A failed one has no repetitions."""
    device = replace(DEVICE, serial=serial, emulated=emulated, key=f"{serial:0<64.64}")
    run = replace(RUN, device_key=device.key, **changes)
    return StoredRun(
        run=run,
        device=device,
        artifact=ARTIFACT,
        repetitions=REPETITIONS if run.status == "ok" else (),
        conditions=CONDITIONS,
    )
