"""The text of the dumpsys services that a virtual phone has, in Android 14's layout."""

from __future__ import annotations

from collections.abc import Mapping

# android.os.Temperature's types by what a zone's name begins with.
_SENSOR_TYPES = {"cpu": 0, "gpu": 1, "battery": 2, "skin": 3}
_TYPE_UNKNOWN = -1


def battery_text(
    *,
    percent: int = 80,
    charging: bool = False,
    plug: str = "usb",
    celsius: float = 27.0,
    voltage_mv: int = 3987,
) -> str:
    """What ``dumpsys battery`` prints; ``plug`` is what charges it: ac, usb, wireless or dock."""
    powered = {name: str(charging and name == plug).lower() for name in ("ac", "usb", "wireless", "dock")}
    return f"""Current Battery Service state:
  AC powered: {powered["ac"]}
  USB powered: {powered["usb"]}
  Wireless powered: {powered["wireless"]}
  Dock powered: {powered["dock"]}
  Max charging current: {500000 if charging else 0}
  status: {2 if charging else 3}
  health: 2
  present: true
  level: {percent}
  scale: 100
  voltage: {voltage_mv}
  temperature: {round(celsius * 10)}
  technology: Li-ion
"""


def thermal_text(
    *,
    status: int = 0,
    cpu_celsius: float = 31.0,
    zones: Mapping[str, float | None] | None = None,
) -> str:
    """What ``dumpsys thermalservice`` prints; without ``zones`` two CPU sensors and a battery."""
    if zones is None:
        zones = {"cpu-0": cpu_celsius, "cpu-1": cpu_celsius - 0.3, "battery": 27.0}
    sensors = "".join(
        f"\tTemperature{{mValue={celsius:.1f}, mType={_sensor_type(name)}, mName={name}, mStatus={status}}}\n"
        for name, celsius in zones.items()
        if celsius is not None
    )
    return f"""IsStatusOverride: false
ThermalEventListeners:
\tcallbacks: 1
Thermal Status: {status}
Cached temperatures:
{sensors}HAL Ready: true
HAL connection:
\tThermalHAL AIDL 1  connected: yes
Current temperatures from HAL:
{sensors}Current cooling devices from HAL:
"""


def power_text(*, screen_on: bool = False) -> str:
    """What ``dumpsys power`` prints about the screen."""
    return f"""POWER MANAGER (dumpsys power)

Power Manager State:
  mDirty=0x0
  mWakefulness={"Awake" if screen_on else "Asleep"}
  mWakefulnessChanging=false
  mIsPowered=false
  mStayOn=false
  mInteractive={str(screen_on).lower()}

Display Power: state={"ON" if screen_on else "OFF"}
"""


def activity_text(*, locked: bool = False) -> str:
    """What ``dumpsys activity activities`` prints about the lock screen."""
    return f"""ACTIVITY MANAGER ACTIVITIES (dumpsys activity activities)

KeyguardController:
  mKeyguardShowing={str(locked).lower()}
  mAodShowing=false
  mKeyguardGoingAway=false
"""


def _sensor_type(zone: str) -> int:
    return next((kind for prefix, kind in _SENSOR_TYPES.items() if zone.startswith(prefix)), _TYPE_UNKNOWN)
