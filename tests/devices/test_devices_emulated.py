"""Emulators say what they are in their properties; phones never do."""

from __future__ import annotations

import pytest

from toolkit.devices.adb.description import describe
from toolkit.devices.adb.emulated import is_emulated

# As `getprop` of each shows them, the telling ones.
EMULATORS = {
    "Android emulator (API 34)": {
        "ro.hardware": "ranchu",
        "ro.boot.qemu": "1",
        "ro.product.model": "sdk_gphone64_x86_64",
        "ro.product.device": "emu64xa",
    },
    "Android emulator (API 26)": {
        "ro.hardware": "goldfish",
        "ro.kernel.qemu": "1",
        "ro.product.model": "Android SDK built for x86",
    },
    "Cuttlefish": {
        "ro.hardware": "cutf_cvm",
        "ro.product.model": "Cuttlefish x86_64 phone",
        "ro.product.board": "cutf",
        "ro.product.device": "vsoc_x86_64",
    },
    "WSA": {
        "ro.hardware": "windows_x86_64",
        "ro.product.model": "Subsystem for Android(TM)",
        "ro.product.manufacturer": "Microsoft Corporation",
    },
    "redroid": {
        "ro.hardware": "redroid",
        "ro.product.model": "redroid12_x86_64",
        "ro.boot.hardware": "redroid",
    },
    "Waydroid": {"ro.hardware": "unknown", "ro.product.model": "WayDroid x86_64 Device"},
    "an emulator's image of AOSP": {"ro.build.characteristics": "nosdcard,emulator"},
    "LineageOS in QEMU": {"ro.hardware": "virtio", "ro.product.model": "VirtIO AArch64"},
    "Genymotion": {"ro.hardware": "vbox86", "ro.genymotion.version": "3.4.0"},
    "the toolkit's own": {"ro.slm.virtual": "1"},
}
PHONES = {
    "Pixel 8": {"ro.hardware": "shiba", "ro.product.model": "Pixel 8", "ro.product.device": "shiba"},
    "Samsung": {"ro.hardware": "qcom", "ro.product.model": "SM-S918B", "ro.board.platform": "kalama"},
    "Surface Duo": {"ro.hardware": "surfaceduo", "ro.product.manufacturer": "Microsoft"},
    "Xiaomi": {"ro.hardware": "qcom", "ro.kernel.qemu": "0", "ro.product.name": "fuxi_global"},
    "Nokia": {"ro.hardware": "mt6762", "ro.product.model": "Nokia 2.4"},
    "a tablet": {"ro.build.characteristics": "tablet,nosdcard", "ro.hardware": "mt6789"},
    "nothing told": {},
}


@pytest.mark.parametrize("properties", EMULATORS.values(), ids=EMULATORS)
def test_emulators_are_emulated(properties: dict[str, str]) -> None:
    assert is_emulated(properties)
    text = "".join(f"[{key}]: [{value}]\n" for key, value in properties.items())
    assert describe("emulator-5554", f"\n@@slm-section getprop\n{text}").emulated


@pytest.mark.parametrize("properties", PHONES.values(), ids=PHONES)
def test_phones_are_not(properties: dict[str, str]) -> None:
    assert not is_emulated(properties)
