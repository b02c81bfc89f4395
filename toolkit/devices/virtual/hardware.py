"""What a virtual phone's kernel says of its processor and memory: /proc/cpuinfo and the cpu part of sysfs.

Engines read these files to choose kernels and threads. The host's would show its own processor: wrong for
an arm64 phone, where libraries crash over an x86 description, and another one on each host.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass

# Arm's processor features as /proc/cpuinfo names them, for cores with and without dot products.
FEATURES_ARMV8_0 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
FEATURES_ARMV8_2 = f"{FEATURES_ARMV8_0} atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp"
_IMPLEMENTER_ARM = 0x41
_MAXIMUM_CORES = 8


@dataclass(frozen=True)
class CpuCluster:
    """Cores of one kind.

    Attributes:
        cores: how many.
        part: Arm's part number, e.g. 0xD05 for a Cortex-A55.
        max_khz: highest frequency.
        min_khz: lowest frequency.
        capacity: speed relative to the fastest core, which has 1024.
    """

    cores: int
    part: int
    max_khz: int
    min_khz: int = 300_000
    capacity: int = 1024


def default_clusters(abi: str) -> tuple[CpuCluster, ...]:
    """Cores for a phone: this machine's where its /proc/cpuinfo is shown, else half little and half big.

    An arm64 phone has as many as this process may use, 8 at most: a runner cannot be bound to more.
    """
    if abi != "arm64-v8a":
        return (CpuCluster(os.cpu_count() or 1, part=0, max_khz=2_400_000),)
    cores = min(len(os.sched_getaffinity(0)), _MAXIMUM_CORES)
    little, big = cores // 2, cores - cores // 2
    clusters = (
        CpuCluster(little, part=0xD05, max_khz=1_804_800, capacity=325),
        CpuCluster(big, part=0xD0B, max_khz=2_841_600),
    )
    return tuple(cluster for cluster in clusters if cluster.cores)


def cpuinfo_text(clusters: tuple[CpuCluster, ...], features: str) -> str:
    """An arm64 kernel's /proc/cpuinfo."""
    blocks = [
        f"processor\t: {number}\n"
        "BogoMIPS\t: 38.40\n"
        f"Features\t: {features}\n"
        f"CPU implementer\t: {_IMPLEMENTER_ARM:#04x}\n"
        "CPU architecture: 8\n"
        "CPU variant\t: 0x1\n"
        f"CPU part\t: {cluster.part:#05x}\n"
        "CPU revision\t: 0\n"
        for number, cluster in enumerate(_each_core(clusters))
    ]
    return "\n".join(blocks) + "\nHardware\t: slm-toolkit virtual phone\n"


def cpu_files(
    clusters: tuple[CpuCluster, ...],
    *,
    governor: str,
    frequency_fraction: float,
    cap_fraction: float = 1.0,
    offline: Collection[int] = (),
) -> dict[str, str | None]:
    """Files of /sys/devices/system/cpu: path below /sys -> content, None where there is no such file.

    Args:
        clusters: the cores, in the order of their numbers.
        governor: scaling governor of all cores.
        frequency_fraction: current frequency of each core as a part of its highest.
        cap_fraction: highest frequency that each core may take now, likewise.
        offline: numbers of the cores that are off line; like a kernel's, they have no cpufreq.
    """
    cores = _each_core(clusters)
    base = "devices/system/cpu"
    every = f"0-{len(cores) - 1}" if len(cores) > 1 else "0"
    files: dict[str, str | None] = {f"{base}/{name}": f"{every}\n" for name in ("possible", "present")}
    online = [str(number) for number in range(len(cores)) if number not in offline]
    files[f"{base}/online"] = f"{','.join(online) if len(online) < len(cores) else every}\n"
    files[f"{base}/kernel_max"] = f"{len(cores) - 1}\n"
    for number, cluster in enumerate(cores):
        current_khz = max(cluster.min_khz, round(cluster.max_khz * frequency_fraction))
        cap_khz = max(cluster.min_khz, round(cluster.max_khz * cap_fraction))
        values = {
            "online": int(number not in offline),
            "cpu_capacity": cluster.capacity,
            "topology/core_id": number,
            "topology/physical_package_id": 0,
            "topology/core_siblings_list": every,
            "topology/package_cpus_list": every,
            "topology/thread_siblings_list": number,
            "cpufreq/cpuinfo_max_freq": cluster.max_khz,
            "cpufreq/cpuinfo_min_freq": cluster.min_khz,
            "cpufreq/scaling_max_freq": cap_khz,
            "cpufreq/scaling_min_freq": cluster.min_khz,
            "cpufreq/scaling_cur_freq": current_khz,
            "cpufreq/scaling_governor": governor,
        }
        for name, value in values.items():
            gone = number in offline and name.startswith("cpufreq/")
            files[f"{base}/cpu{number}/{name}"] = None if gone else f"{value}\n"
    return files


def meminfo_text(total_bytes: int, available_bytes: int) -> str:
    """/proc/meminfo; always of the same length, so that it can be overwritten under a reader."""
    values = {
        "MemTotal": total_bytes,
        "MemFree": available_bytes // 2,
        "MemAvailable": available_bytes,
        "Buffers": 0,
        "Cached": available_bytes // 2,
        "SwapTotal": 0,
        "SwapFree": 0,
    }
    return "".join(f"{name + ':':<15}{value // 1024:>9} kB\n" for name, value in values.items())


def _each_core(clusters: tuple[CpuCluster, ...]) -> list[CpuCluster]:
    return [cluster for cluster in clusters for _ in range(cluster.cores)]
