"""What a virtual phone is, as written for its daemon."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from toolkit.devices.virtual.faults import Faults
from toolkit.devices.virtual.hardware import FEATURES_ARMV8_2, CpuCluster, default_clusters

# Left out on purpose: brotli, lz4, zstd, delayed_ack and TLS, which this phone does not speak. Without
# shell_v2 every exit code would be 0, without stat_v2 and ls_v2 sizes would have 32 bits.
FEATURES = ("shell_v2", "cmd", "stat_v2", "ls_v2", "fixed_push_mkdir", "sendrecv_v2")


@dataclass(frozen=True)
class PhoneSpec:
    """One virtual phone.

    Attributes:
        name: its folder's name.
        model: what ``ro.product.model`` says.
        abi: Android's word for the host's own ABI.
        port: loopback port, 0 for any free one.
        clusters: its cores; as many as the host's by default.
        cpu_features: an arm64 phone's processor features, as /proc/cpuinfo names them.
        ram_bytes: MemTotal.
        page_size_bytes: what ``getconf PAGE_SIZE`` says.
        faults: misbehaviour to inject.
        serialno: what ``ro.serialno`` says; one of its own by default, which it keeps over restarts.
    """

    name: str
    model: str
    abi: str = "x86_64"
    manufacturer: str = "slm-toolkit"
    android_release: str = "14"
    api_level: int = 34
    port: int = 0
    faults: Faults = field(default_factory=Faults)
    clusters: tuple[CpuCluster, ...] = ()
    cpu_features: str = FEATURES_ARMV8_2
    ram_bytes: int = 8 << 30
    page_size_bytes: int = 4096
    serialno: str = field(default_factory=lambda: f"SLM{secrets.token_hex(4).upper()}")

    def __post_init__(self) -> None:
        """Fill in the cores."""
        if not self.clusters:
            object.__setattr__(self, "clusters", default_clusters(self.abi))

    @property
    def cores(self) -> int:
        """Number of cores."""
        return sum(cluster.cores for cluster in self.clusters)

    def properties(self) -> dict[str, str]:
        """What ``getprop`` shows."""
        return {
            "ro.product.manufacturer": self.manufacturer,
            "ro.product.brand": self.manufacturer,
            "ro.product.model": self.model,
            "ro.product.name": "slm_virtual",
            "ro.product.device": "slm_virtual",
            "ro.product.cpu.abi": self.abi,
            "ro.product.cpu.abilist": self.abi,
            "ro.build.version.release": self.android_release,
            "ro.build.version.sdk": str(self.api_level),
            "ro.build.fingerprint": f"slm-toolkit/virtual/virtual:{self.android_release}/1:user/test-keys",
            "ro.board.platform": "virtual",
            "ro.serialno": self.serialno,
            "ro.slm.virtual": "1",
        }

    def banner(self) -> bytes:
        """What the phone says of itself when a host connects; adb shows it in ``devices -l``."""
        shown = ("ro.product.name", "ro.product.model", "ro.product.device")
        properties = self.properties()
        fields = [f"{key}={properties[key]}" for key in shown]
        return f"device::{';'.join(fields)};features={','.join(FEATURES)}".encode()

    def write(self, path: Path) -> None:
        """Save as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> PhoneSpec:
        """Load what ``write`` saved."""
        fields = json.loads(path.read_text(encoding="utf-8"))
        faults = Faults(**fields.pop("faults"))
        clusters = tuple(CpuCluster(**cluster) for cluster in fields.pop("clusters", ()))
        return cls(**fields, faults=faults, clusters=clusters)
