"""How well artifacts agree with their models, as far as their manifests say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolkit.report.unique_names import Names
from toolkit.store.rows import Artifact


@dataclass(frozen=True)
class Quality:
    """The artifact's agreement with the fp32 model, measured by the conversion.

    ``mean_kl`` is in nats per position, ``top1_agreement`` a fraction of positions.
    """

    artifact: Artifact
    positions: int
    mean_kl: float
    top1_agreement: float

    def label(self, names: Names) -> str:
        """Two lines that name the artifact."""
        artifact = self.artifact
        engine = f"{artifact.backend} {artifact.backend_version}"
        return f"{names.model(artifact)} {names.quantization(artifact)}\n{engine}"


def quality_of(artifact: Artifact, manifest: Mapping[str, Any]) -> Quality | None:
    """The parity figures in a manifest; None when the conversion skipped the check."""
    parity = manifest.get("parity")
    if not parity:
        return None
    return Quality(
        artifact=artifact,
        positions=parity["positions"],
        mean_kl=parity["mean_kl"],
        top1_agreement=parity["top1_agreement"],
    )
