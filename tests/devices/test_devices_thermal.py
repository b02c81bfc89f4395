"""Temperatures as Android tells them; an unknown layout is unknown, never zero."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.devices.thermal import Thermal, parse_thermal_zones, parse_thermalservice
from toolkit.devices.virtual.services import thermal_text

THERMAL_PIXEL = """\
IsStatusOverride: false
ThermalEventListeners:
	callbacks: 1
	killed: false
	broadcasts count: -1
Thermal Status: 1
Cached temperatures:
	Temperature{mValue=71.3, mType=0, mName=BIG, mStatus=0}
	Temperature{mValue=29.9, mType=3, mName=VIRTUAL-SKIN, mStatus=0}
HAL Ready: true
HAL connection:
	ThermalHAL AIDL 2  connected: yes
Current temperatures from HAL:
	Temperature{mValue=43.0, mType=0, mName=BIG, mStatus=0}
	Temperature{mValue=44.5, mType=0, mName=LITTLE, mStatus=0}
	Temperature{mValue=60.0, mType=1, mName=G3D, mStatus=0}
	Temperature{mValue=31.2, mType=3, mName=VIRTUAL-SKIN, mStatus=1}
Current cooling devices from HAL:
	CoolingDevice{mValue=0, mType=2, mName=thermal-cpufreq-0}
Temperature static thresholds from HAL:
	TemperatureThreshold{mType=0, mName=BIG, mHotThrottlingThresholds=[NaN, 95.0]}
"""
THERMAL_SAMSUNG_NO_CPU = """\
IsStatusOverride: false
ThermalEventListeners:
	callbacks: 2
Thermal Status: 0
Cached temperatures:
	Temperature{mValue=30.3, mType=2, mName=BATTERY, mStatus=0}
HAL Ready: true
Current temperatures from HAL:
	Temperature{mValue=33.6, mType=3, mName=SKIN, mStatus=0}
	Temperature{mValue=30.3, mType=2, mName=BATTERY, mStatus=0}
"""
# Samsung's own HAL of Android 10: types are numbered otherwise, names say what they mean.
THERMAL_SAMSUNG_SDHMS = """\
IsStatusOverride: false
Thermal Status: 0
Cached temperatures:
 Temperature{mValue=-99.9, mType=6, mName=TYPE_POWER_AMPLIFIER, mStatus=0}
	Temperature{mValue=25.3, mType=4, mName=TYPE_SKIN, mStatus=0}
HAL Ready: true
HAL connection:
	Sdhms connected: yes
Current temperatures from HAL:
	Temperature{mValue=24.0, mType=1, mName=TYPE_CPU, mStatus=0}
	Temperature{mValue=24.4, mType=3, mName=TYPE_BATTERY, mStatus=0}
	Temperature{mValue=25.3, mType=4, mName=TYPE_SKIN, mStatus=0}
Current cooling devices from HAL:
	CoolingDevice{mValue=0, mType=2, mName=TYPE_CPU}
"""
# HyperOS on a Qualcomm: an old cache above live values.
THERMAL_XIAOMI = """\
IsStatusOverride: false
Thermal Status: 0
Cached temperatures:
	Temperature{mValue=88.1, mType=0, mName=CPU7, mStatus=0}
HAL Ready: true
HAL connection:
	ThermalHAL AIDL 2  connected: yes
Current temperatures from HAL:
	Temperature{mValue=32.4, mType=2, mName=battery, mStatus=0}
	Temperature{mValue=37.2, mType=3, mName=skin, mStatus=0}
	Temperature{mValue=45.7, mType=0, mName=CPU0, mStatus=0}
	Temperature{mValue=52.3, mType=0, mName=CPU7, mStatus=0}
	Temperature{mValue=47.0, mType=1, mName=GPU0, mStatus=0}
Current cooling devices from HAL:
	CoolingDevice{mValue=3, mType=2, mName=cpufreq-cpu7}
"""
THERMAL_CACHED_ONLY = """\
Thermal Status: 0
Cached temperatures:
 Temperature{mValue=38.5, mType=0, mName=CPU0, mStatus=0}
HAL Ready: false
"""
THERMAL_SENSORS_OFF = """\
Thermal Status: 2
Current temperatures from HAL:
	Temperature{mValue=0.0, mType=0, mName=CPU0, mStatus=0}
	Temperature{mValue=-274.0, mType=0, mName=CPU1, mStatus=0}
	Temperature{mValue=41000.0, mType=0, mName=CPU2, mStatus=0}
"""
THERMAL_HAL_1_0 = """\
IsStatusOverride: false
Thermal Status: 0
Cached temperatures:
	Temperature{mValue=51.500004, mType=0, mName=CPU1, mStatus=0}
HAL Ready: true
HAL connection:
	ThermalHAL 1.0 connected: yes
Current temperatures from HAL:
	Temperature{mValue=56.0, mType=0, mName=CPU0, mStatus=0}
	Temperature{mValue=56.0, mType=0, mName=CPU1, mStatus=0}
"""
THERMAL_HAL_EMPTY = (
    THERMAL_CACHED_ONLY + "Current temperatures from HAL:\nCurrent cooling devices from HAL:\n"
)


@pytest.mark.parametrize(
    ("text", "thermal"),
    [
        (THERMAL_PIXEL, Thermal(1, 44.5)),
        (THERMAL_SAMSUNG_NO_CPU, Thermal(0, None)),
        # After `cmd thermalservice override-status 0` the status is what somebody said, not what is.
        (
            THERMAL_PIXEL.replace("IsStatusOverride: false", "IsStatusOverride: true"),
            Thermal(None, 44.5),
        ),
        (THERMAL_SAMSUNG_SDHMS, Thermal(0, 24.0)),
        (THERMAL_XIAOMI, Thermal(0, 52.3)),
        # Without a HAL nobody ever tells of throttling: the status stays what it was at the start.
        (THERMAL_CACHED_ONLY, Thermal(None, 38.5)),
        (THERMAL_CACHED_ONLY.replace("Ready: false", "Ready: true"), Thermal(0, 38.5)),
        # "Thermal HAL 1.0 service connected, no thermal call back will be called due to legacy API."
        (THERMAL_HAL_1_0, Thermal(None, 56.0)),
        (THERMAL_HAL_1_0.replace("1.0 connected", "1.1 connected"), Thermal(0, 56.0)),
        # The HAL has died or was never reached: what the status says is old.
        (THERMAL_XIAOMI.replace("2  connected: yes", "2  connected: no"), Thermal(None, 52.3)),
        (THERMAL_HAL_1_0.replace("1.0 connected: yes", "2.0 connected: no"), Thermal(None, 56.0)),
        (
            THERMAL_SAMSUNG_SDHMS.replace("\tSdhms", "\tThermalHAL 2.0 connected: no\n\tSdhms"),
            Thermal(0, 24.0),
        ),
        (THERMAL_SENSORS_OFF, Thermal(2, None)),
        (THERMAL_HAL_EMPTY, Thermal(None, None)),
        ("Thermal Status: 9\n", Thermal(None, None)),
        ("Thermal Status: NONE\n", Thermal(None, None)),
        ("Can't find service: thermalservice\n", Thermal(None, None)),
        ("", Thermal(None, None)),
    ],
)
def test_thermalservice(text: str, thermal: Thermal) -> None:
    assert parse_thermalservice(text) == thermal


def test_thermal_zones_of_cpus_only() -> None:
    text = "cpu-0-0-usr 41200\nbattery 99000\ngpuss-0 88000\ncpuss-1 39000\n"
    text += "cpu-1-0 -274000\ncpu-2 52\ncpu-3 None\n"
    assert parse_thermal_zones(text) == 41.2
    assert parse_thermal_zones("battery 30000\ncpu-1-max-step 95000\n") is None
    assert parse_thermal_zones("BIG 43000\nLITTLE 41000\nG3D 60000\n") == 43.0
    assert parse_thermal_zones("") is None


@given(st.integers(0, 6), st.floats(10, 110).map(lambda celsius: round(celsius, 1)))
def test_the_virtual_phones_temperature_reads_back(status: int, celsius: float) -> None:
    assert parse_thermalservice(thermal_text(status=status, cpu_celsius=celsius)) == Thermal(status, celsius)
