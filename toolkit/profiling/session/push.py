"""Putting an artifact and its runner bundle on a device; both are skipped when they are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from toolkit.app.copies import folder_for_app
from toolkit.app.driver import AppState, Runner, app_command, needed_app
from toolkit.artifact import MANIFEST, Artifact, FileEntry
from toolkit.devices.base import Device, DeviceInfo
from toolkit.devices.discovery import has_own_number
from toolkit.devices.given_names import name_of
from toolkit.devices.transfer import push_folder_verified
from toolkit.errors import DeviceNotReady
from toolkit.files import sha256_of
from toolkit.profiling import remote
from toolkit.profiling.description import BundleIdentity
from toolkit.profiling.session.preflight import check_pages
from toolkit.profiling.session.verified import verify_artifact
from toolkit.progress import ShowProgress, bar
from toolkit.runtime.abi import LOADERS
from toolkit.runtime.bundle import Bundle, build_bundle
from toolkit.settings import Settings


@dataclass(frozen=True)
class Pushed:
    """What is on the device now, and where.

    Attributes:
        info: the device.
        artifact_dir: the artifact's folder on the device, as the runner takes it.
        command: the runner's command there, without its own flags.
        bundle: identity of the bundle.
        sent: files that had to travel.
    """

    info: DeviceInfo
    artifact_dir: str
    command: tuple[str, ...]
    bundle: BundleIdentity
    sent: tuple[str, ...]


def push(
    device: Device,
    artifact: Artifact,
    settings: Settings,
    *,
    runner: Runner = "shell",
    app_state: AppState = "activity",
    show_progress: ShowProgress = bar,
) -> Pushed:
    """Verify the artifact here, build the bundle for the device's ABI, and push both.

    An app brings its runner along; then the artifact alone travels, on some phones into the app's storage.

    The caller holds the device's lock.

    Raises:
        ArtifactCorrupt: a file of the artifact has changed since it was converted.
        RuntimeBundleError: no bundle can be built for the device.
        DeviceNotReady: the app is asked for and not there, or of another version.
        DeviceError: the device cannot take them.
    """
    info, abi = _described(device, settings)
    verify_artifact(artifact, settings)
    engine = artifact.manifest.backend.name
    artifact_dir = remote.artifact_dir(device, artifact.manifest.sha256)
    # The app reads the manifest; it comes last, as in the artifact itself.
    files = [*artifact.manifest.files, _manifest_entry(artifact)]
    folders = [(artifact.name, artifact.path, files, artifact_dir)]
    if runner == "app":
        app = needed_app(device)
        # The engine's version is what its library says when it runs.
        identity = BundleIdentity(engine=engine, engine_version="unknown", abi=abi, sha256=app.sha256)
        sent = _send(device, folders, show_progress)
        artifact_dir = folder_for_app(device, artifact_dir, files, show_progress=show_progress)
        return Pushed(info, artifact_dir, app_command(engine, app_state), identity, sent)
    bundle, bundle_dir = _bundle(device, info, abi, engine, settings)
    identity = BundleIdentity(
        engine=engine,
        engine_version=bundle.engine_version,
        abi=abi,
        sha256=bundle.sha256,
    )
    folders.insert(0, ("runner", bundle.path, bundle.files, bundle_dir))
    sent = _send(device, folders, show_progress)
    return Pushed(info, artifact_dir, tuple(bundle.command(bundle_dir)), identity, sent)


@dataclass(frozen=True)
class PushedRunner:
    """A runner without a model.

    Attributes:
        info: the device.
        command: the runner's command there, without its own flags.
    """

    info: DeviceInfo
    command: tuple[str, ...]


def push_runner(
    device: Device, settings: Settings, engine: str, *, show_progress: ShowProgress = bar
) -> PushedRunner:
    """Build the bundle of an engine for the device's ABI, and push it unless it is there.

    The caller holds the device's lock.

    Raises:
        RuntimeBundleError: no bundle can be built for the device.
        DeviceError: the device cannot take it.
    """
    info, abi = _described(device, settings)
    bundle, bundle_dir = _bundle(device, info, abi, engine, settings)
    _send(device, [("runner", bundle.path, bundle.files, bundle_dir)], show_progress)
    return PushedRunner(info, tuple(bundle.command(bundle_dir)))


def _described(device: Device, settings: Settings) -> tuple[DeviceInfo, str]:
    """The device and its ABI."""
    info = device.info()
    if info.abi is None:
        raise DeviceNotReady(
            "its ABI cannot be read", serial=device.serial, next_step="See: slm devices list"
        )
    if info.abi not in LOADERS:
        raise DeviceNotReady(
            f"its system runs programs of {info.abi}, for which there is no runner",
            serial=device.serial,
            next_step=f"Measure a device of {' or '.join(LOADERS)}: the system counts, not the CPU alone.",
        )
    # Runs of two phones must not become those of one: the name has to do.
    identity = info.identity if has_own_number(info, settings) else None
    return replace(info, identity=identity, name=name_of(identity or info.serial, settings)), info.abi


def _manifest_entry(artifact: Artifact) -> FileEntry:
    manifest = artifact.path / MANIFEST
    return FileEntry(path=MANIFEST, size_bytes=manifest.stat().st_size, sha256=sha256_of(manifest))


def _bundle(
    device: Device, info: DeviceInfo, abi: str, engine: str, settings: Settings
) -> tuple[Bundle, str]:
    """A bundle that fits the device, and its folder there."""
    bundle = build_bundle(abi, settings, engine=engine)
    check_pages(bundle, info)
    return bundle, remote.bundle_dir(device, abi, bundle.sha256)


def _send(
    device: Device,
    folders: Sequence[tuple[str, Path, Sequence[FileEntry], str]],
    show_progress: ShowProgress,
) -> tuple[str, ...]:
    sent: list[str] = []
    for label, folder, files, target in folders:
        with show_progress(f"push {label} to {device.serial}") as progress:
            sent += push_folder_verified(device, folder, files, target, progress=progress)
    return tuple(sent)
