"""Is what answers over adb a phone, or a program that plays one? Told by its system properties."""

from __future__ import annotations

from collections.abc import Mapping

# Set by the toolkit's own virtual phone and by nothing else.
VIRTUAL_PROPERTY = "ro.slm.virtual"

# Properties that are 1 on emulators only.
_FLAGS = (VIRTUAL_PROPERTY, "ro.kernel.qemu", "ro.boot.qemu")
# Properties that only one kind of emulator has.
_MARKS = ("ro.genymotion.version", "ro.boot.redroid_width", "waydroid.host_data_path")
# What the names of an emulator's board begin with. None of them was ever a phone's.
_BOARDS = (
    "goldfish",
    "ranchu",
    "cutf",
    "vsoc",
    "windows_x86_64",
    "windows_arm64",
    "redroid",
    "vbox86",
    "waydroid",
    "anbox",
    "nox",
    "ttvm",
    "gce_x86",
    "virtio",
)
_BOARD_PROPERTIES = (
    "ro.hardware",
    "ro.boot.hardware",
    "ro.product.board",
    "ro.product.device",
    "ro.product.vendor.device",
    "ro.board.platform",
)
# What the names of products and models begin with, in lower case.
_MODELS = (
    "sdk_gphone",
    "android sdk built for",
    "google_sdk",
    "cuttlefish",
    "aosp_cf_",
    "subsystem for android",
    "redroid",
    "waydroid",
    "genymotion",
)
_MODEL_PROPERTIES = (
    "ro.product.model",
    "ro.product.name",
    "ro.product.vendor.model",
    "ro.product.vendor.name",
)


def is_emulated(properties: Mapping[str, str]) -> bool:
    """Whether the Android emulator, Cuttlefish, WSA, redroid or the like says these properties.

    Their numbers are those of a host's processor, so they must not mix with a phone's.
    """

    def begins(names: tuple[str, ...], starts: tuple[str, ...]) -> bool:
        return any(properties.get(name, "").lower().startswith(starts) for name in names)

    return (
        "emulator" in properties.get("ro.build.characteristics", "").split(",")
        or any(properties.get(name) == "1" for name in _FLAGS)
        or any(name in properties for name in _MARKS)
        or begins(_BOARD_PROPERTIES, _BOARDS)
        or begins(_MODEL_PROPERTIES, _MODELS)
    )
