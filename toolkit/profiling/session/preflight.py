"""Can this device run this at all? Asked before anything is pushed."""

from __future__ import annotations

from toolkit.artifact import Artifact
from toolkit.devices.base import DeviceInfo
from toolkit.errors import DeviceFull
from toolkit.models.layers import states_bytes
from toolkit.profiling.request import ProfileRequest

# A run slower than this is given up. It is far below any phone, so that only hung runs meet it.
_SLOWEST_BYTES_PER_SECOND = 1e8
_SLOWEST_SETUP_S = 300.0


def least_ram_bytes(artifact: Artifact, options: ProfileRequest) -> int:
    """A lower bound of the memory a run needs: the weights and the states that it fills."""
    states = states_bytes(artifact.manifest.architecture.layers, options.tokens_per_repetition)
    return artifact.manifest.size_bytes + states


def check_ram(artifact: Artifact, options: ProfileRequest, info: DeviceInfo) -> None:
    """Refuse what cannot fit into the device's memory.

    What is merely scarce now is not refused: Android frees memory by ending apps in the background.

    Raises:
        DeviceFull: the device's whole memory is smaller than the lower bound.
    """
    needed = least_ram_bytes(artifact, options)
    if info.ram_bytes is not None and needed > info.ram_bytes:
        raise DeviceFull(
            f"{artifact.name} needs at least {needed / 1e9:.1f} GB of memory, "
            f"the device has {info.ram_bytes / 1e9:.1f} GB",
            serial=info.serial,
            next_step="Use a smaller model, fewer bits or fewer tokens.",
        )


def work_timeout_s(artifact_bytes: int, work_tokens: int) -> float:
    """How long work on a device may take: every token as slow as reading all weights from slow memory."""
    return _SLOWEST_SETUP_S + work_tokens * artifact_bytes / _SLOWEST_BYTES_PER_SECOND


def run_timeout_s(artifact_bytes: int, options: ProfileRequest) -> float:
    """How long a profile run may take, with every repetition waiting at its gate for as long as it may."""
    waits = options.warmup + options.repetitions if options.gate.name != "off" else 0
    idle_s = options.energy.baseline_s if options.energy else 0
    work_s = work_timeout_s(artifact_bytes, options.work_tokens)
    return work_s + idle_s + waits * options.gate.runner_timeout_s
