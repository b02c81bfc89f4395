"""From an artifact on devices to runs in the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from toolkit.api.loading import loaded
from toolkit.artifact import Artifact
from toolkit.devices.discovery import open_device
from toolkit.devices.parallel import Outcome, on_each_device
from toolkit.devices.selection import chosen_serials
from toolkit.profiling.request import ProfileRequest, check_context
from toolkit.progress import ShowProgress, bar
from toolkit.settings import Settings

if TYPE_CHECKING:
    from toolkit.store import Store
    from toolkit.store.rows import StoredRun

T = TypeVar("T")
# Does work on each device and shows how it goes.
RunOnDevices = Callable[[Sequence[str], Callable[[str, ShowProgress], T]], list[Outcome[T]]]


def profile(
    artifact: Artifact | Path | str,
    request: ProfileRequest | None = None,
    *,
    device: str | Sequence[str] = (),
    timeout_s: float | None = None,
    settings: Settings | None = None,
    **options: Any,
) -> list[StoredRun]:
    """Run an artifact on devices and store what was measured.

    Args:
        artifact: the folder, or what :func:`convert` returned.
        request: the work; fields can be given as options instead, such as ``threads=4``.
        device: a serial, ssh:USER@HOST, local, or all for every attached phone; or several of these.
            The attached phone when there is just one, this machine when there is none.
        timeout_s: seconds the runner may take; scaled by the work by default.
        settings: store and caches; those of the environment by default.
        options: fields of :class:`ProfileRequest`; they win over the request's.

    Returns:
        One run per device.

    Raises:
        ToolkitError: the first device's error, once all devices are done; the runs of the others are stored.
    """
    asked = request or ProfileRequest()
    outcomes = profile_on_each(
        loaded(artifact),
        type(asked).of(**{**dict(asked), **options}),
        [device] if isinstance(device, str) else device,
        settings or Settings.from_environment(),
        timeout_s=timeout_s,
    )
    runs = []
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
        assert outcome.result is not None, "an outcome is a result or an error"
        runs.append(outcome.result)
    return runs


def profile_on_each(
    artifact: Artifact,
    request: ProfileRequest,
    devices: Sequence[str],
    settings: Settings,
    *,
    timeout_s: float | None = None,
    run_on_devices: RunOnDevices[StoredRun] | None = None,
) -> list[Outcome[StoredRun]]:
    """As :func:`profile`; what came of each device, errors included.

    Raises:
        ToolkitError: what is wrong before any device is asked to work.
    """
    from toolkit.profiling.session.session import Session
    from toolkit.profiling.session.session import profile as profile_on
    from toolkit.store import open_store as open_url

    check_context(artifact, request)
    serials = chosen_serials(devices, settings)
    # Opened before the run: a store that cannot be used shows now, not after minutes of measuring.
    with open_url(settings.store_url) as store:
        session = Session(settings, store, timeout_s=timeout_s)

        def profile_one(serial: str, show_progress: ShowProgress) -> StoredRun:
            own = replace(session, show_progress=show_progress)
            return profile_on(open_device(serial, settings), artifact, request, own)

        return (run_on_devices or _quietly)(serials, profile_one)


def open_store(url: str | None = None) -> Store:
    """Open the results store.

    Args:
        url: an SQLAlchemy URL; that of the environment by default.

    Raises:
        StoreError: it cannot be opened.
    """
    from toolkit.store import open_store as open_url

    return open_url(url or Settings.from_environment().store_url)


def _quietly(serials: Sequence[str], work: Callable[[str, ShowProgress], T]) -> list[Outcome[T]]:
    return on_each_device(serials, lambda serial: work(serial, bar), on_done=lambda outcome: None)
