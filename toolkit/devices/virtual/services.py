"""The text of the two dumpsys services that a virtual phone has, in Android 14's layout."""

from __future__ import annotations


def battery_text(*, percent: int = 80, charging: bool = False) -> str:
    """What ``dumpsys battery`` prints."""
    powered = str(charging).lower()
    return f"""Current Battery Service state:
  AC powered: false
  USB powered: {powered}
  Wireless powered: false
  Dock powered: false
  Max charging current: {500000 if charging else 0}
  status: {2 if charging else 3}
  health: 2
  present: true
  level: {percent}
  scale: 100
  voltage: 3987
  temperature: 270
  technology: Li-ion
"""


def thermal_text(*, status: int = 0, cpu_celsius: float = 31.0) -> str:
    """What ``dumpsys thermalservice`` prints."""
    sensors = "\n".join(
        f"\tTemperature{{mValue={cpu_celsius - 0.3 * core:.1f}, mType=0, mName=CPU{core}, mStatus={status}}}"
        for core in range(2)
    )
    battery = "\tTemperature{mValue=27.0, mType=2, mName=battery, mStatus=0}"
    return f"""IsStatusOverride: false
ThermalEventListeners:
\tcallbacks: 1
Thermal Status: {status}
Cached temperatures:
{sensors}
{battery}
HAL Ready: true
HAL connection:
\tThermalHAL AIDL 1  connected: yes
Current temperatures from HAL:
{sensors}
{battery}
Current cooling devices from HAL:
"""
