"""What the store holds, as frozen dataclasses; one class per table, one field per column.

The tables are made from these classes (:mod:`toolkit.store.row_columns`), so a figure is written down here
alone. Durations are nanoseconds, sizes bytes. ``None`` means not known or not measured, never zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal


@dataclass(frozen=True)
class Characters:
    """How long a text's column is."""

    maximum: int


BITS_64 = "64 bits"

Hash = Annotated[str, Characters(64)]
Name = Annotated[str, Characters(32)]
LongName = Annotated[str, Characters(64)]
Word = Annotated[str, Characters(16)]
ShortWord = Annotated[str, Characters(8)]
Large = Annotated[int, BITS_64]
# A value of a setting that has no column of its own.
Setting = str | int | float | bool

# Only "ok" runs enter comparisons. docs/protocol.md says when each status is given.
Status = Literal[
    "ok",
    "throttled",
    "oom_killed",
    "left_foreground",
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
    "left_foreground",
    "token_mismatch",
    "gate_timeout",
    "device_lost",
    "timeout",
    "error",
)


# Words of other columns, as the code above this folder writes them.
GATES = ("off", "watch", "default", "strict", "unattended")
POWER_SOURCES = ("ac", "usb", "wireless", "dock", "battery", "changed")
DEVICE_KINDS = ("local", "adb", "ssh", "imported")

# Fields that make two devices different ones to compare; RAM varies a little from boot to boot.
COMPARABLE_FACTS = (
    "kind",
    "emulated",
    "manufacturer",
    "model",
    "soc",
    "abi",
    "os_version",
    "api_level",
    "build",
    "cpu_cores",
)


@dataclass(frozen=True)
class Device:
    """A device as it was when it ran: the same phone after an OS update is another row.

    ``key`` is a hash over what makes results comparable: identity, model, ABI, OS build, emulated. ``serial``
    is what adb or ssh called it when it was stored first, ``identity`` its hardware's serial number, None
    where nobody knows it; ``name`` is what its user calls it.
    """

    key: Hash
    serial: Annotated[str, Characters(255)]
    kind: Word
    emulated: bool
    manufacturer: str | None
    model: str | None
    soc: str | None
    abi: Name | None
    os_version: str | None
    api_level: int | None
    build: str | None
    cpu_cores: int | None
    ram_bytes: Large | None
    identity: Annotated[str, Characters(255)] | None = None
    name: LongName | None = None

    @property
    def shown_name(self) -> str:
        """What it is called where people read: its user's name for it, else what tells it from all others."""
        return self.name or self.identity or self.serial

    @property
    def shown_kind(self) -> str:
        """``emulated`` for a virtual phone, so that its numbers are never taken for a real one's."""
        return "emulated" if self.emulated else self.kind


@dataclass(frozen=True)
class Artifact:
    """The facts of an artifact's manifest that results are grouped by.

    ``quantization`` is the label that tables show, e.g. ``8da4w g32 hqq``.
    """

    sha256: Hash
    name: str
    model: str
    revision: str | None
    model_type: LongName
    backend: Name
    backend_version: Name
    quantization: str
    scheme: Name
    group_size: int | None
    algorithm: Name
    preset: LongName | None
    context_length: int
    size_bytes: Large
    unique_parameters: Large
    stored_parameters: Large


@dataclass(frozen=True)
class EnergyMethod:
    """How a run's joules were measured; ``note`` says why there are none, or what to know about them.

    ``source`` is the file of the battery's counter, ``gauge_ms`` how often it changes, ``discharge_sign`` the
    sign of its current while discharging, and ``sign_from`` how that was found: "unplugged" or "load".
    """

    source: str
    interval_ms: int
    samples: int
    gauge_ms: int | None = None
    current_unit: ShortWord | None = None
    voltage_unit: ShortWord | None = None
    discharge_sign: int | None = None
    sign_from: Word | None = None
    charging: bool | None = None
    note: str | None = None


@dataclass(frozen=True)
class Run:
    """One profile run: what was asked for, how it ended, and the figures of an ended one.

    The figures (``load_ns`` to ``greedy_total``) are medians over the measured repetitions, as defined in
    docs/protocol.md, and are None unless the run is ok. Figures that only some runs have are measurements.

    ``gate`` is the gate that every repetition really passed: "off", "default", "strict", or "unattended" when
    the host was gone for some; None where nobody knows. The ``gate_*`` limits are None where nothing was
    asked; ``gate_unreadable`` names, separated by commas, what was asked but could not be read.
    ``power_source`` is None when unreadable and "changed" when it did. ``energy`` is None when energy was not
    measured. ``settings`` are conditions that have no column: those of other tools that were imported, and
    options of the request that are newer than the table, where they are not the default. ``recipe`` and
    ``batch`` say which recipe's run made this one; None for a run that was asked for by itself.
    """

    id: Name
    device_key: Hash
    artifact_sha256: Hash
    status: Annotated[Status, Characters(16)]
    error: str | None
    protocol: int
    created_unix_ns: Large
    toolkit_version: Name
    engine: Name
    engine_version: Name
    runner_version: Name | None
    kernels: Name | None
    abi: Name
    bundle_sha256: Hash
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
    load_ns: Large | None = None
    prefill_tokens_per_second: float | None = None
    prefill_stdev: float | None = None
    decode_tokens_per_second: float | None = None
    decode_stdev: float | None = None
    ttft_ns: Large | None = None
    peak_bytes: Large | None = None
    memory_method: str | None = None
    vm_hwm_bytes: Large | None = None
    max_rss_swap_bytes: Large | None = None
    max_swap_bytes: Large | None = None
    after_load_bytes: Large | None = None
    major_faults: Large | None = None
    memory_samples: int | None = None
    memory_interval_ms: int | None = None
    greedy_matched: int | None = None
    greedy_total: int | None = None
    gate: Word | None = None
    gate_max_thermal_status: int | None = None
    gate_max_celsius: float | None = None
    gate_max_cpu_busy: float | None = None
    gate_min_battery_percent: int | None = None
    gate_screen_off: bool | None = None
    gate_unreadable: str | None = None
    throttled_repetitions: int | None = None
    power_source: Word | None = None
    energy: EnergyMethod | None = None
    settings: Mapping[str, Setting] | None = None
    recipe: LongName | None = None
    batch: Name | None = None


@dataclass(frozen=True)
class Repetition:
    """One repetition; ``decode_ns`` keeps the time of every decode step.

    ``decode_total_ns`` is their sum, and is filled in where it is not given. An imported llama-bench test has
    it without any steps, and no ``prefill_ns`` when decode alone was timed. ``gate`` is "off",
    "opened" or "unattended"; ``throttled`` says, where known, whether the device slowed itself down
    meanwhile, and ``throttle_sign`` how that showed, or why it is not known.
    """

    index: int
    warmup: bool
    started_unix_ns: Large
    prefill_ns: Large | None
    decode_ns: Sequence[int]
    gate: Word | None = None
    gate_wait_ns: Large | None = None
    throttled: bool | None = None
    throttle_sign: str | None = None
    decode_total_ns: Large | None = None

    def __post_init__(self) -> None:
        if self.decode_total_ns is None:
            object.__setattr__(self, "decode_total_ns", sum(self.decode_ns))


@dataclass(frozen=True)
class Condition:
    """Readings at one moment of a run; ``repetition`` is None for readings around the whole run.

    Frequencies stand at their CPU's number, and are None for a CPU that is off line or does not tell. In runs
    without ``online_cpus`` such CPUs were left out of the lists.
    """

    moment: Annotated[Literal["before", "after"], Characters(8)]
    repetition: int | None
    unix_ns: Large
    cpu_busy: float | None = None
    cpu_frequencies_khz: Sequence[int | None] | None = None
    cpu_frequency_caps_khz: Sequence[int | None] | None = None
    available_ram_bytes: Large | None = None
    thermal_status: int | None = None
    hottest_cpu_celsius: float | None = None
    battery_percent: int | None = None
    battery_celsius: float | None = None
    charging: bool | None = None
    power_source: Word | None = None
    screen_on: bool | None = None
    online_cpus: Sequence[int] | None = None
    cpu_maximum_frequencies_khz: Sequence[int | None] | None = None
    battery_charge_uah: Large | None = None


@dataclass(frozen=True)
class Measurement:
    """A figure of a run or of one of its repetitions; :mod:`toolkit.store.measurements` has the names."""

    name: LongName
    value: float
    unit: Word
    repetition: int | None = None


@dataclass(frozen=True)
class RunSummary:
    """A row of the listing: a run with its device, its artifact and the measurements of it as a whole."""

    run: Run
    device: Device
    artifact: Artifact
    measurements: Sequence[Measurement] = field(default=(), kw_only=True)

    def measured(self, name: str, repetition: int | None = None) -> float | None:
        """The value of a measurement; None where it was not measured."""
        for one in self.measurements:
            if one.name == name and one.repetition == repetition:
                return one.value
        return None


@dataclass(frozen=True)
class StoredRun(RunSummary):
    """A whole run, with all its samples and the measurements of its repetitions."""

    repetitions: Sequence[Repetition]
    conditions: Sequence[Condition]


@dataclass(frozen=True)
class DeviceRoofline:
    """What a device could do at most when it was measured; the same device after an update is another one.

    ``points`` has a list for each of threads, read_bytes_per_second, int8_ops_per_second and
    float_ops_per_second: one value for each number of threads.
    """

    device_key: Hash
    created_unix_ns: Large
    runner_version: Name
    kernels: Name
    buffer_bytes: Large
    passes: int
    points: Mapping[str, Sequence[int]]


# The key of :attr:`Evaluation.versions` that has the hash of a model in transformers.
SOURCE_SHA256 = "source_sha256"


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of a model on tasks: what was judged, where, and how.

    It holds what it needs to know of artifact and device itself: both may have no run. ``artifact_sha256``
    and ``size_bytes`` are None for a model in transformers, whose ``backend`` is "transformers" and whose
    ``quantization`` its type of numbers. ``place`` is where it ran, ``place_identity`` what tells that place
    from all others. ``versions`` are those of harness, data sets' library and engine, and under
    ``source_sha256`` the hash of a model in transformers, which older rows lack.
    """

    id: Name
    created_unix_ns: Large
    toolkit_version: Name
    name: str
    model: str
    artifact_sha256: Hash | None
    backend: Name
    quantization: str
    size_bytes: Large | None
    place: Annotated[str, Characters(255)]
    place_identity: Annotated[str, Characters(255)]
    item_limit: int | None
    seed: int
    truncated: bool
    versions: Mapping[str, str]

    @property
    def model_identity(self) -> str:
        """What tells the model from all others: its hash, or its name where no hash was kept."""
        return self.artifact_sha256 or self.versions.get(SOURCE_SHA256) or self.name


@dataclass(frozen=True)
class Score:
    """A metric of a task in an evaluation.

    ``items_sha256`` is over documents, prompts and targets: scores with another one are of other items.
    """

    task: Annotated[str, Characters(255)]
    version: Name
    shots: int
    metric: LongName
    filter: LongName
    value: float
    stderr: float | None
    n: int
    higher_is_better: bool | None
    items_sha256: Hash


@dataclass(frozen=True)
class ScoredItem:
    """One item's metrics; ``key`` is a hash over document, prompt and target."""

    task: Annotated[str, Characters(255)]
    shots: int
    key: Name
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class StoredEvaluation:
    """An evaluation with its scores; items are read apart."""

    evaluation: Evaluation
    scores: Sequence[Score]
