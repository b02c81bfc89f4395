"""Which programs a phone runs, of what its properties say."""

from __future__ import annotations

import pytest

from toolkit.devices.adb.description import describe


@pytest.mark.parametrize(
    ("first", "listed", "listed_64", "abi"),
    [
        ("arm64-v8a", "arm64-v8a,armeabi-v7a,armeabi", "arm64-v8a", "arm64-v8a"),
        # Before Android 5 there is one property alone.
        ("armeabi-v7a", None, None, "armeabi-v7a"),
        # Both kinds of programs run, and the 32-bit one is named first.
        ("armeabi-v7a", "armeabi-v7a,armeabi,arm64-v8a", "arm64-v8a", "arm64-v8a"),
        ("armeabi-v7a", "armeabi-v7a,arm64-v8a", None, "arm64-v8a"),
        # A 64-bit CPU under a system of 32: Fire tablets, boxes for televisions.
        ("armeabi-v7a", "armeabi-v7a,armeabi", "", "armeabi-v7a"),
        # An emulator that translates: its own comes first.
        ("x86_64", "x86_64,arm64-v8a,x86,armeabi-v7a", "x86_64,arm64-v8a", "x86_64"),
        ("x86", "x86,x86_64,arm64-v8a", "x86_64,arm64-v8a", "x86_64"),
        ("", "arm64-v8a", "", "arm64-v8a"),
        (None, None, None, None),
        ("", "", "", None),
    ],
)
def test_a_phones_abi_is_the_64_bit_one_that_it_runs(
    first: str | None, listed: str | None, listed_64: str | None, abi: str | None
) -> None:
    said = {"abi": first, "abilist": listed, "abilist64": listed_64}
    lines = [f"[ro.product.cpu.{name}]: [{value}]" for name, value in said.items() if value is not None]
    assert describe("serial", "\n@@slm-section getprop\n" + "\n".join(lines) + "\n").abi == abi
