"""Where the app's sources are."""

from __future__ import annotations

from pathlib import Path

from toolkit.errors import BuildFailed


def app_source() -> Path:
    """The android_app folder: in the wheel, or at the root of an editable checkout.

    Raises:
        BuildFailed: it is in neither place.
    """
    here = Path(__file__).resolve().parent
    for folder in (here / "android_app", here.parents[1] / "android_app"):
        if (folder / "versions.properties").is_file():
            return folder
    raise BuildFailed(
        "the app's sources (android_app) are missing", subject=str(here), next_step="Reinstall slm-toolkit."
    )


def versions(source: Path) -> dict[str, str]:
    """The entries of ``versions.properties``, which Gradle reads as well."""
    lines = (source / "versions.properties").read_text(encoding="utf-8").splitlines()
    entries = (line.partition("=") for line in lines if line.strip() and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in entries}
