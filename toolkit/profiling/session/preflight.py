"""Can this device run this at all? Asked before anything is pushed."""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.artifact import Artifact
from toolkit.devices.base import DeviceInfo
from toolkit.devices.cpus import cpu_list_words
from toolkit.engines import ENGINES
from toolkit.errors import DeviceFull, EngineMismatch, UsageError
from toolkit.estimate.estimate import minimum_memory_bytes
from toolkit.profiling.request import ProfileRequest
from toolkit.runtime.bundle import Bundle
from toolkit.runtime.elf import is_elf, read_elf

# A run slower than this is given up. It is far below any phone, so that only hung runs meet it.
_SLOWEST_BYTES_PER_SECOND = 1e8
_SLOWEST_SETUP_S = 300.0


def minimum_ram_bytes(artifact: Artifact, options: ProfileRequest) -> int:
    """A lower bound of the memory a run needs: the weights, the states that are in it, and the process."""
    manifest = artifact.manifest
    return minimum_memory_bytes(
        manifest.size_bytes,
        manifest.architecture.layers,
        ENGINES.get(manifest.backend.name),
        text=options.positions(manifest.context_length),
    )


def check_ram(artifact: Artifact, options: ProfileRequest, info: DeviceInfo) -> None:
    """Refuse what cannot fit into the device's memory.

    What is merely scarce now is not refused: Android frees memory by ending apps in the background.

    Raises:
        DeviceFull: the device's whole memory is smaller than the lower bound.
    """
    needed = minimum_ram_bytes(artifact, options)
    if info.ram_bytes is not None and needed > info.ram_bytes:
        raise DeviceFull(
            f"{artifact.name} needs at least {needed / 1e9:.1f} GB of memory, "
            f"the device has {info.ram_bytes / 1e9:.1f} GB",
            serial=info.serial,
            next_step="Use a smaller model, fewer bits or fewer tokens.",
        )


def check_cpus(options: ProfileRequest, info: DeviceInfo, online: Sequence[int] | None) -> None:
    """Refuse CPUs that the device does not have, or that are off.

    Args:
        options: the work.
        info: the device.
        online: numbers of its CPUs on line; None when that cannot be read, and then nothing is refused.

    Raises:
        UsageError: says which, and what there is.
    """
    count = info.cpu_cores
    missing = [] if count is None else [cpu for cpu in options.affinity if cpu >= count]
    off = [] if online is None else [cpu for cpu in options.affinity if cpu not in (*online, *missing)]
    if missing or off:
        why = [f"there is no {cpu_list_words(missing)}"] if missing else []
        why += [f"{cpu_list_words(off)} off line"] if off else []
        there = "" if online is None else f" On line: {cpu_list_words(online)}."
        raise UsageError(
            f"--affinity: {', '.join(why)}",
            subject=f"device {info.serial}",
            next_step=f"Choose others.{there}",
        )


def check_threads(threads: int, info: DeviceInfo) -> None:
    """Refuse more threads than the device has CPUs: they would wait for each other at every product.

    Raises:
        UsageError: says how many there are; a device that does not tell its CPUs refuses nothing.
    """
    if info.cpu_cores is not None and threads > info.cpu_cores:
        raise UsageError(
            f"--threads {threads}: there are {info.cpu_cores} CPUs",
            subject=f"device {info.serial}",
            next_step=f"Pass --threads {info.cpu_cores} or less.",
        )


def check_pages(bundle: Bundle, info: DeviceInfo) -> None:
    """Refuse a bundle whose libraries cannot be mapped with the device's pages.

    Raises:
        EngineMismatch: they are aligned to less than a page; a page of unknown size refuses nothing.
    """
    if info.page_bytes is None:
        return
    paths = [bundle.path / entry.path for entry in bundle.files]
    aligned = {path.name: min(read_elf(path).load_alignments) for path in paths if is_elf(path)}
    small = sorted(name for name, alignment in aligned.items() if alignment < info.page_bytes)
    if small:
        raise EngineMismatch(
            f"the device has pages of {info.page_bytes // 1024} KB, and {', '.join(small)} "
            f"{'is' if len(small) == 1 else 'are'} aligned to less",
            subject=f"device {info.serial}",
            next_step=f"Use a device with pages of up to {min(aligned.values()) // 1024} KB; for an emulator "
            "there are images with 4 KB pages.",
        )


def work_timeout_s(artifact_bytes: int, work_tokens: int) -> float:
    """How long work on a device may take: every token as slow as reading all weights from slow memory."""
    return _SLOWEST_SETUP_S + work_tokens * artifact_bytes / _SLOWEST_BYTES_PER_SECOND


def run_timeout_s(artifact_bytes: int, options: ProfileRequest) -> float:
    """How long a profile run may take, with every repetition waiting at its gate for as long as it may."""
    waits = options.warmup + options.repetitions if options.gate.name != "off" else 0
    idle_s = options.energy.baseline_s if options.energy else 0
    work_s = work_timeout_s(artifact_bytes, options.work_tokens)
    return work_s + idle_s + options.repeat_s + waits * options.gate_timeout_s
