"""The names of a report: of models, artifacts and devices, each told from the others in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from toolkit.store.rows import Artifact, Device
from toolkit.store.short_names import model_names, quantization_names, refined


@dataclass(frozen=True)
class Names:
    """What a report calls what it shows.

    Attributes:
        models: by the model's whole name.
        quantizations: by the artifact's sha256.
        devices: by the device's key.
    """

    models: Mapping[str, str]
    quantizations: Mapping[str, str]
    devices: Mapping[str, str]

    @classmethod
    def of(cls, artifacts: Iterable[Artifact], devices: Iterable[Device]) -> Names:
        """Names for these, shown together."""
        shown = {artifact.sha256: artifact for artifact in artifacts}
        by_key = {device.key: device for device in devices}
        return cls(
            models=model_names(artifact.model for artifact in shown.values()),
            quantizations=quantization_names(shown.values()),
            devices=refined(
                by_key,
                _device_label,
                (
                    lambda one: one.serial,
                    lambda one: one.os_version or "unknown system",
                    lambda one: one.build or "unknown build",
                    lambda one: "emulated" if one.emulated else "real",
                    lambda one: f"[{one.key[:6]}]",
                    lambda one: one.key,
                ),
            ),
        )

    def model(self, artifact: Artifact) -> str:
        """The artifact's model."""
        return self.models[artifact.model]

    def quantization(self, artifact: Artifact) -> str:
        """What tells the artifact from others of its model and engine."""
        return self.quantizations[artifact.sha256]

    def device(self, device: Device) -> str:
        """A device: maker, model and what tells it from others."""
        return self.devices[device.key]


def _device_label(device: Device) -> str:
    model = device.model or ""
    maker = device.manufacturer or ""
    name = model if model.lower().startswith(maker.lower()) else f"{maker} {model}".strip()
    called = device.name or (device.serial if device.emulated else device.shown_name)
    return f"{name} ({called})" if name and name != called else called
