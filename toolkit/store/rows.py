"""What the store holds, as frozen dataclasses; one class per table, one field per column.

Durations are nanoseconds, sizes bytes. ``None`` means not known or not measured, never zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

# Only "ok" runs enter comparisons. docs/protocol.md says when each status is given.
Status = Literal[
    "ok",
    "throttled",
    "oom_killed",
    "token_mismatch",
    "gate_timeout",
    "device_lost",
    "timeout",
    "error",
]

STATUSES: tuple[Status, ...] = (
    "ok",
    "throttled",
    "oom_killed",
    "token_mismatch",
    "gate_timeout",
    "device_lost",
    "timeout",
    "error",
)


@dataclass(frozen=True)
class Device:
    """A device as it was when it ran: the same phone after an OS update is another row.

    ``key`` is a hash over what makes results comparable: serial, model, ABI, OS build, emulated.
    """

    key: str
    serial: str
    kind: str
    emulated: bool
    manufacturer: str | None
    model: str | None
    soc: str | None
    abi: str | None
    os_version: str | None
    api_level: int | None
    build: str | None
    cpu_cores: int | None
    ram_bytes: int | None

    @property
    def shown_kind(self) -> str:
        """``emulated`` for a virtual phone, so that its numbers are never taken for a real one's."""
        return "emulated" if self.emulated else self.kind


@dataclass(frozen=True)
class Artifact:
    """The facts of an artifact's manifest that results are grouped by.

    ``quantization`` is the label that tables show, e.g. ``8da4w g32 hqq``.
    """

    sha256: str
    name: str
    model: str
    revision: str | None
    model_type: str
    backend: str
    backend_version: str
    quantization: str
    scheme: str
    group_size: int | None
    algorithm: str
    preset: str | None
    context_length: int
    size_bytes: int
    unique_parameters: int
    stored_parameters: int


@dataclass(frozen=True)
class Run:
    """One profile run: what was asked for, how it ended, and the figures of an ended one.

    The figures (``load_ns`` to ``greedy_total``, and those in watts and joules) are medians over the measured
    repetitions, as defined in docs/protocol.md and docs/energy.md, and are None unless the run is ok.

    ``gate`` is the gate that every repetition really passed: "off", "default", "strict", or "unattended" when
    the host was gone for some; None where nobody knows. The ``gate_*`` limits are None where nothing was
    asked; ``gate_unreadable`` names, separated by commas, what was asked but could not be read.
    ``power_source`` is None when unreadable and "changed" when it did. ``energy_*`` say how the joules were
    measured, and ``energy_note`` why there are none, or what to know about them.
    """

    id: str
    device_key: str
    artifact_sha256: str
    status: Status
    error: str | None
    protocol: int
    created_unix_ns: int
    toolkit_version: str
    engine: str
    engine_version: str
    runner_version: str | None
    kernels: str | None
    abi: str
    bundle_sha256: str
    argv: Sequence[str]
    exit_code: int | None
    prompt_tokens: int
    generate_tokens: int
    depth: int
    prefill_chunk: int
    context_length: int
    warmup: int
    repetitions: int
    threads: int
    affinity: Sequence[int]
    load_ns: int | None = None
    prefill_tokens_per_second: float | None = None
    prefill_stdev: float | None = None
    decode_tokens_per_second: float | None = None
    decode_stdev: float | None = None
    ttft_ns: int | None = None
    peak_bytes: int | None = None
    memory_method: str | None = None
    vm_hwm_bytes: int | None = None
    max_rss_swap_bytes: int | None = None
    max_swap_bytes: int | None = None
    after_load_bytes: int | None = None
    major_faults: int | None = None
    memory_samples: int | None = None
    memory_interval_ms: int | None = None
    greedy_matched: int | None = None
    greedy_total: int | None = None
    gate: str | None = None
    gate_max_thermal_status: int | None = None
    gate_max_celsius: float | None = None
    gate_max_cpu_busy: float | None = None
    gate_min_battery_percent: int | None = None
    gate_screen_off: bool | None = None
    gate_unreadable: str | None = None
    throttled_repetitions: int | None = None
    power_source: str | None = None
    energy_source: str | None = None
    energy_interval_ms: int | None = None
    energy_samples: int | None = None
    energy_gauge_ms: int | None = None
    energy_current_unit: str | None = None
    energy_voltage_unit: str | None = None
    energy_discharge_sign: int | None = None
    energy_sign_from: str | None = None
    energy_charging: bool | None = None
    energy_note: str | None = None
    baseline_watts: float | None = None
    mean_watts: float | None = None
    net_watts: float | None = None
    joules_per_prompt: float | None = None
    prefill_joules_per_token: float | None = None
    decode_joules_per_token: float | None = None
    battery_rise_celsius: float | None = None
    cpu_rise_celsius: float | None = None


@dataclass(frozen=True)
class Repetition:
    """One repetition; ``decode_ns`` keeps the time of every decode step.

    ``decode_total_ns`` is their sum, and is filled in where it is not given. An imported llama-bench test has
    it without any steps, and no ``prefill_ns`` when decode alone was timed. ``gate`` is "off",
    "opened" or "unattended"; ``throttled`` says, where known, whether the device slowed itself down
    meanwhile, and ``throttle_sign`` how that showed. Joules are net of the idle baseline.
    """

    index: int
    warmup: bool
    started_unix_ns: int
    prefill_ns: int | None
    decode_ns: Sequence[int]
    gate: str | None = None
    gate_wait_ns: int | None = None
    throttled: bool | None = None
    throttle_sign: str | None = None
    prefill_joules: float | None = None
    decode_joules: float | None = None
    decode_total_ns: int | None = None

    def __post_init__(self) -> None:
        if self.decode_total_ns is None:
            object.__setattr__(self, "decode_total_ns", sum(self.decode_ns))


@dataclass(frozen=True)
class Condition:
    """Readings at one moment of a run; ``repetition`` is None for readings around the whole run."""

    moment: Literal["before", "after"]
    repetition: int | None
    unix_ns: int
    cpu_busy: float | None = None
    cpu_frequencies_khz: Sequence[int] | None = None
    cpu_frequency_caps_khz: Sequence[int] | None = None
    available_ram_bytes: int | None = None
    thermal_status: int | None = None
    hottest_cpu_celsius: float | None = None
    battery_percent: int | None = None
    battery_celsius: float | None = None
    charging: bool | None = None
    power_source: str | None = None
    screen_on: bool | None = None


@dataclass(frozen=True)
class RunSummary:
    """A row of the listing: a run with its device and artifact."""

    run: Run
    device: Device
    artifact: Artifact


@dataclass(frozen=True)
class StoredRun(RunSummary):
    """A whole run, with all its samples."""

    repetitions: Sequence[Repetition]
    conditions: Sequence[Condition]
