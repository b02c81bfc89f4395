"""The virtual phone's file system: Android's layout, busybox in the place of toybox."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from toolkit.devices.virtual import apps
from toolkit.devices.virtual.conditions import STATE_FOLDER
from toolkit.devices.virtual.spec import PhoneSpec

_PROPERTIES = "system/properties"
_FOLDERS = (
    "system/bin",
    _PROPERTIES,
    "vendor/bin",
    STATE_FOLDER,
    "data/local/tmp",
    "proc",
    "sys",
    "dev",
    "etc",
)
# Applets that would reach outside the sandbox or that no phone has.
_LEFT_OUT = {
    "reboot",
    "poweroff",
    "halt",
    "mount",
    "umount",
    "chroot",
    "unshare",
    "insmod",
    "rmmod",
    "modprobe",
}

# A value is printed as it is, newlines included, as Android does.
_GETPROP = f"""#!/system/bin/sh
# getprop [KEY [DEFAULT]]
if [ $# -eq 0 ]; then
  exec cat /{_PROPERTIES}/all
elif [ -f "/{_PROPERTIES}/$1" ]; then
  exec cat "/{_PROPERTIES}/$1"
fi
printf '%s\\n' "$2"
"""
_DUMPSYS = f"""#!/system/bin/sh
if [ -r "/{STATE_FOLDER}/$1.txt" ]; then
  exec cat "/{STATE_FOLDER}/$1.txt"
fi
echo "Can't find service: $1"
"""
_GETCONF = """#!/system/bin/sh
case "$1" in
  PAGE_SIZE | PAGESIZE) echo {page_size} ;;
  _NPROCESSORS_ONLN | _NPROCESSORS_CONF) echo {cores} ;;
  *) echo "getconf: Unknown name '$1'" >&2; exit 1 ;;
esac
"""


def build_root(root: Path, spec: PhoneSpec, busybox: Path, *, emulator: Path | None = None) -> None:
    """Lay out a phone's root.

    Args:
        root: an empty or missing folder.
        spec: what the phone says of itself.
        busybox: a static busybox for the phone's ABI.
        emulator: what runs it here, when this machine cannot.
    """
    for folder in _FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    programs = root / "system" / "bin"
    shutil.copy(busybox, programs / "busybox")
    (programs / "busybox").chmod(0o755)
    start = [str(emulator)] if emulator else []
    listing = subprocess.run([*start, str(busybox), "--list"], capture_output=True, text=True, check=True)
    for applet in set(listing.stdout.split()) - _LEFT_OUT - {"busybox"}:
        (programs / applet).symlink_to("busybox")
    getconf = _GETCONF.format(page_size=spec.page_size_bytes, cores=spec.cores)
    scripts = {"getprop": _GETPROP, "dumpsys": _DUMPSYS, "getconf": getconf, **apps.SCRIPTS}
    for name, script in scripts.items():
        (programs / name).write_text(script, encoding="utf-8")
        (programs / name).chmod(0o755)
    properties = spec.properties()
    listed = "".join(f"[{key}]: [{value}]\n" for key, value in properties.items())
    for key, text in {**properties, "all": listed.removesuffix("\n")}.items():
        (root / _PROPERTIES / key).write_text(f"{text}\n", encoding="utf-8")
    # Scripts elsewhere open with #!/bin/sh; on Android /bin is a link to /system/bin.
    (root / "bin").symlink_to("system/bin")
