"""Putting an artifact and its runner bundle on a device; both are skipped when they are there."""

from __future__ import annotations

from dataclasses import dataclass, replace

from toolkit.artifact import Artifact
from toolkit.devices.base import Device, DeviceInfo
from toolkit.devices.names import name_of
from toolkit.devices.transfer import push_folder_verified
from toolkit.errors import DeviceNotReady
from toolkit.profiling import remote
from toolkit.profiling.description import BundleIdentity
from toolkit.profiling.session.preflight import check_pages
from toolkit.profiling.session.verified import verify_artifact
from toolkit.progress import ShowProgress, bar
from toolkit.runtime.bundle import build_bundle
from toolkit.settings import Settings


@dataclass(frozen=True)
class Pushed:
    """What is on the device now, and where.

    Attributes:
        info: the device.
        artifact_dir: the artifact's folder on the device.
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
    device: Device, artifact: Artifact, settings: Settings, *, show_progress: ShowProgress = bar
) -> Pushed:
    """Verify the artifact here, build the bundle for the device's ABI, and push both.

    The caller holds the device's lock.

    Raises:
        ArtifactCorrupt: a file of the artifact has changed since it was converted.
        RuntimeBundleError: no bundle can be built for the device.
        DeviceError: the device cannot take them.
    """
    info = device.info()
    info = replace(info, name=name_of(info.identity or info.serial, settings))
    if info.abi is None:
        raise DeviceNotReady(
            "its ABI cannot be read", serial=device.serial, next_step="See: slm devices list"
        )
    verify_artifact(artifact, settings)
    engine = artifact.manifest.backend.name
    bundle = build_bundle(info.abi, settings, engine=engine)
    check_pages(bundle, info)
    identity = BundleIdentity(
        engine=engine,
        engine_version=bundle.engine_version,
        abi=info.abi,
        sha256=bundle.sha256,
    )
    bundle_dir = remote.bundle_dir(device, info.abi, identity.sha256)
    artifact_dir = remote.artifact_dir(device, artifact.manifest.sha256)
    sent: list[str] = []
    for label, folder, files, target in (
        ("runner", bundle.path, bundle.files, bundle_dir),
        (artifact.name, artifact.path, artifact.manifest.files, artifact_dir),
    ):
        with show_progress(f"push {label} to {device.serial}") as progress:
            sent += push_folder_verified(device, folder, files, target, progress=progress)
    return Pushed(info, artifact_dir, tuple(bundle.command(bundle_dir)), identity, tuple(sent))
