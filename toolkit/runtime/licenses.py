"""The licence texts that belong to the C and C++ runtime libraries in a bundle."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

_DOCUMENTATION = Path("/usr/share/doc")
_COMMON = Path("/usr/share/common-licenses")


def system_licenses(libraries: Iterable[Path]) -> dict[str, Path]:
    """Find the copyright files of the Debian packages that the libraries belong to.

    Texts that these refer to come along (LGPL-2.1, GPL-3 ...). On a system without dpkg there are none: the
    bundle is then fit for one's own devices, not for passing on.

    Args:
        libraries: files, symbolic links resolved.

    Returns:
        Name in the bundle -> file here.
    """
    dpkg = shutil.which("dpkg-query")
    found: dict[str, Path] = {}
    if dpkg is None:
        return found
    # Packages older than the merged /usr know their files by the short path.
    paths = {path for library in libraries for path in (str(library), str(library).removeprefix("/usr"))}
    done = subprocess.run(
        [dpkg, "--search", *sorted(paths)], capture_output=True, text=True, timeout=60, check=False
    )
    for line in done.stdout.splitlines():
        # "libc6:amd64: /lib/x86_64-linux-gnu/libc.so.6"
        package = line.partition(": ")[0].partition(":")[0]
        copyright_file = _DOCUMENTATION / package / "copyright"
        if copyright_file.is_file():
            found[f"{package}.txt"] = copyright_file
    for text in list(found.values()):
        content = text.read_text(encoding="utf-8", errors="replace")
        for name in re.findall(rf"{_COMMON}/([\w.-]*\w)", content):
            if (_COMMON / name).is_file():
                found[f"{name}.txt"] = _COMMON / name
    return dict(sorted(found.items()))
