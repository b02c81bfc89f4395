"""What the toolkit knows about an engine; everything else asks this instead of the engine's name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from toolkit.errors import UsageError


@dataclass(frozen=True)
class Capabilities:
    """What an engine can store and multiply.

    Attributes:
        linears: schemes of linears with their group sizes; 0 is per-channel, () stands for no groups at all.
        embeddings: schemes of the token embedding.
        algorithms: the only quantization algorithms that it takes; None for all.
        negative_scales: symmetric grids may have negative scales.
        asymmetric_channels: one scale per channel may come with a zero point.
        gguf_integers: can keep all of a GGUF file's integers.
        default_opset: the operator set that models are written in; None for a format without.
    """

    linears: Mapping[str, tuple[int, ...]]
    embeddings: tuple[str, ...]
    algorithms: tuple[str, ...] | None = None
    negative_scales: bool = True
    asymmetric_channels: bool = True
    gguf_integers: bool = True
    default_opset: int | None = None


@dataclass(frozen=True)
class Processor:
    """A processor that an engine runs models on.

    Attributes:
        name: "cpu".
        provider: what the engine calls the part of it that does so.
    """

    name: str
    provider: str


@dataclass(frozen=True)
class EngineSpec:
    """One engine.

    Attributes:
        name: in flags, manifests, recipes and stores.
        title: for people.
        short_name: in tables.
        artifact_word: in the names of artifacts.
        mark: Vega-Lite's shape for its points in charts.
        package: the Python package that is the engine; its version is the engine's.
        extra: the extra of the toolkit that brings the package.
        converting_extras: extras that converting for it needs besides [convert].
        packages: those whose versions decide about an artifact's bytes, ``package`` included.
        environment: variables to set, unless they are, before any of it is imported.
        model_file: name of the model in the artifact.
        capabilities: what it can store and multiply.
        processors: what it runs models on.
        lowering: "module:attribute" of its :class:`toolkit.export.lowering.EngineLowering`.
        decoder: "module:attribute" of a function (model file, capacity in tokens) that gives a
            :class:`toolkit.inference.decoder.Decoder` on this host.
        official_runtime: what else runs its artifacts, unchanged.
        slow_schemes: schemes whose linears decode more slowly than fp32 -> one as exact that does not.
    """

    name: str
    title: str
    short_name: str
    artifact_word: str
    mark: str
    package: str
    extra: str
    converting_extras: tuple[str, ...]
    packages: tuple[str, ...]
    model_file: str
    capabilities: Capabilities
    processors: tuple[Processor, ...]
    lowering: str
    decoder: str
    official_runtime: str
    environment: Mapping[str, str] = field(default_factory=dict)
    slow_schemes: Mapping[str, str] = field(default_factory=dict)

    @property
    def install(self) -> str:
        """The command that installs what converting for it needs."""
        return f"pip install 'slm-toolkit[{','.join(('convert', *self.converting_extras))}]'"

    @property
    def installed_version(self) -> str | None:
        """Of its package; None when it is not installed."""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return None

    def check_installed(self) -> None:
        """Refuse to convert without the engine.

        Raises:
            UsageError: its package is not installed.
        """
        if find_spec(self.package) is None:
            raise UsageError(
                f"--backend {self.name} needs the package {self.package}, which is not installed",
                next_step=self.install,
            )
