"""An artifact in the app's own storage, on phones that keep what adb has pushed from apps."""

from __future__ import annotations

import re
from collections.abc import Sequence

from toolkit.app.driver import PACKAGE, app_reads
from toolkit.artifact import FileEntry
from toolkit.devices.base import Device
from toolkit.errors import DeviceError, TransferFailed
from toolkit.progress import ShowProgress, say

# What the app takes for the folder of its own artifacts (slm.toolkit.core.Arguments).
_OWN_ARTIFACTS = "@artifacts"
_QUICK_S = 60.0
_SLOWEST_BYTES_PER_S = 2e6

# $1 is the app, $2 the artifact. A copy that was broken off is looked at, found wanting and deleted.
_ADOPT = """
content call --uri "content://$1.runs" --method adopt --arg "$2" 2>&1
"""
# $1 is the app, $2 the artifact's folder, $3 a file of it. `content` ends with 0 whatever happens.
_COPY = """
said=$(content write --uri "content://$1.runs/artifacts/${2##*/}/$3" <"$2/$3" 2>&1)
case "$said" in
  *[Ee]rror*|*ERROR*|*xception*) echo "$said" >&2; exit 1 ;;
esac
"""
# $1 is the app, $2 the artifact.
_DROP = """
content delete --uri "content://$1.runs/artifacts/$2" >/dev/null 2>&1
"""
_ANSWER = re.compile(r"\bartifact=([^}]*)\}")


def folder_for_app(
    device: Device, folder: str, files: Sequence[FileEntry], *, show_progress: ShowProgress
) -> str:
    """Where the app finds an artifact: where it was pushed, or a copy of its own, made unless there is one.

    Args:
        device: has the app, and the artifact.
        folder: the artifact's there.
        files: its files, the manifest last.
        show_progress: opens a progress bar.

    Raises:
        TransferFailed: the copy did not come whole; nothing of it is kept.
        DeviceError: the device cannot be reached.
    """
    if app_reads(device, f"{folder}/{files[-1].path}") is not False:
        return folder
    artifact = folder.rpartition("/")[2]
    own = f"{_OWN_ARTIFACTS}/{artifact}"
    if _adopted(device, artifact) == "whole":
        return own
    say(f"{device.serial}: this phone keeps adb's files from apps; the app gets a copy of its own")
    try:
        _copy(device, folder, files, show_progress)
        # The app hashes all of it.
        said = _adopted(device, artifact, size_bytes=sum(file.size_bytes for file in files))
        if said != "whole":
            raise _broken(device, said)
    except BaseException:
        drop_copy(device, artifact)
        raise
    return own


def drop_copy(device: Device, artifact: str) -> None:
    """Delete the app's copy of an artifact, whole or not, as far as the device can still be reached."""
    try:
        device.shell(["sh", "-c", _DROP, "slm-app-drop", PACKAGE, artifact], timeout_s=_QUICK_S)
    except DeviceError:
        # Whatever brought us here is the error to report; the app deletes half a copy when it is next asked.
        pass


def _copy(device: Device, folder: str, files: Sequence[FileEntry], show_progress: ShowProgress) -> None:
    total = sum(file.size_bytes for file in files)
    done = 0
    with show_progress(f"copy {folder.rpartition('/')[2]} into the app on {device.serial}") as progress:
        for file in files:
            script = ["sh", "-c", _COPY, "slm-app-copy", PACKAGE, folder, file.path]
            copied = device.shell(script, timeout_s=_QUICK_S + file.size_bytes / _SLOWEST_BYTES_PER_S)
            if copied.returncode != 0:
                raise _broken(device, f"{file.path}: {copied.stderr.strip()[-300:]}")
            done += file.size_bytes
            progress(done, total)


def _adopted(device: Device, artifact: str, *, size_bytes: int = 0) -> str:
    script = ["sh", "-c", _ADOPT, "slm-app-adopt", PACKAGE, artifact]
    said = device.shell(script, timeout_s=_QUICK_S + size_bytes / _SLOWEST_BYTES_PER_S).stdout
    answer = _ANSWER.search(said)
    return answer[1] if answer else said.strip()[-300:]


def _broken(device: Device, said: str) -> TransferFailed:
    return TransferFailed(
        f"the app did not get a whole copy of the artifact: {said or 'no reason given'}",
        serial=device.serial,
        next_step="Check the free space (slm devices list) and run the same command again.",
    )
