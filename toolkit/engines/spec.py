"""What the toolkit knows about an engine; everything else asks this instead of the engine's name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from toolkit.engines.storage import Storage
from toolkit.errors import EngineMismatch, UsageError
from toolkit.extras import install_command


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
        newest_opset: the newest one that it loads.
    """

    linears: Mapping[str, tuple[int, ...]]
    embeddings: tuple[str, ...]
    algorithms: tuple[str, ...] | None = None
    negative_scales: bool = True
    asymmetric_channels: bool = True
    gguf_integers: bool = True
    default_opset: int | None = None
    newest_opset: int | None = None


@dataclass(frozen=True)
class Processor:
    """A processor that an engine runs models on.

    Attributes:
        name: "cpu", "gpu" or "npu".
        provider: what the engine calls the part of it that does so.
        library: what brings it, where the engine's own library does not.
    """

    name: str
    provider: str
    library: str | None = None

    def __str__(self) -> str:
        return f"{self.name} ({self.provider})"


class Headers(Protocol):
    """C headers that the engine's package does not bring."""

    @property
    def identity(self) -> str:
        """Changes whenever the headers do; known without having them."""
        ...

    def provide(self) -> Path:
        """Their folder; they are downloaded unless they are there."""
        ...


@dataclass(frozen=True)
class Runner:
    """How the engine's runner is built and what it needs on a device.

    Paths are those inside the engine's wheel.

    Attributes:
        program: the runner's file name.
        libraries: name on the device -> path in the wheel; of several that fit a ``*`` the last one is taken.
        taken: how the paths begin of what is taken out of a wheel for another ABI.
        wheels: (version, ABI) -> sha256 of the wheel for Python 3.12.
        definitions: CMake cache entries; ``{site}`` stands for the folder that the wheel was unpacked into,
            ``{headers}`` for the headers'.
        headers: "module:attribute" of a function (the engine's version, settings) that gives
            :class:`Headers`, or raises EngineMismatch; None where the wheel brings them.
    """

    program: str
    libraries: Mapping[str, str]
    taken: tuple[str, ...]
    wheels: Mapping[tuple[str, str], str]
    definitions: Mapping[str, str]
    headers: str | None = None


@dataclass(frozen=True)
class AndroidFiles:
    """What there is of an engine for Android: "module:attribute" of functions (settings) that give a folder.

    Attributes:
        headers: C headers that the JNI library is compiled with.
        libraries: ``ABI/*.so``, which the app ships.
    """

    headers: str
    libraries: str


@dataclass(frozen=True)
class InApp:
    """How the engine is part of the Android app.

    Attributes:
        library: the JNI library without "lib" and ".so"; slm.toolkit.core.Engine knows it, too.
        android: what there is of it for Android; None while its JNI library is built for desktops alone.
    """

    library: str
    android: AndroidFiles | None = None


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
        extra: the extra of the toolkit that brings the package and what its runner is built with; None where
            the package comes on its own.
        converting_extras: extras that converting for it needs besides [convert].
        packages: those whose versions decide about an artifact's bytes, ``package`` included.
        environment: variables to set, unless they are, before any of it is imported.
        model_file: name of the model in the artifact.
        capabilities: what it can store and multiply.
        processor: what its runner runs models on; a runner that could choose would need a flag for it.
        other_processors: what other libraries of it could, on which no model was ever run here.
        lowering: "module:attribute" of its :class:`toolkit.export.lowering.EngineLowering`.
        decoder: "module:attribute" of a function (model file, capacity in tokens) that gives a
            :class:`toolkit.inference.decoder.Decoder` on this host.
        official_runtime: what else runs its artifacts, unchanged.
        runner: what runs its artifacts on devices; None while there is no such program.
        in_app: how the Android app has it; None where it has not.
        trace: "module:attribute" of a function (file) that gives the calls of a trace which its runner wrote,
            as :class:`toolkit.engines.trace.TracedCall`; None where there is no such trace.
        storage: how large things are in it.
        slow_schemes: schemes whose linears decode more slowly than fp32 -> one as exact that does not.
        older_end_tokens: the file, and the keys that lead to the number, where artifacts of toolkits before
            generation_config.json have the tokens that end a generation; None where they have no such file.
    """

    name: str
    title: str
    short_name: str
    artifact_word: str
    mark: str
    package: str
    extra: str | None
    converting_extras: tuple[str, ...]
    packages: tuple[str, ...]
    model_file: str
    capabilities: Capabilities
    processor: Processor
    lowering: str
    decoder: str
    official_runtime: str
    runner: Runner | None = None
    in_app: InApp | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    trace: str | None = None
    storage: Storage = field(default_factory=Storage)
    slow_schemes: Mapping[str, str] = field(default_factory=dict)
    other_processors: tuple[Processor, ...] = ()
    older_end_tokens: tuple[str, tuple[str, ...]] | None = None

    @property
    def install(self) -> str:
        """The command that installs the engine."""
        return install_command(self.extra) if self.extra else f"pip install {self.package}"

    @property
    def install_for_converting(self) -> str:
        """The command that installs what converting for it needs."""
        also = "" if self.extra else self.package
        return install_command("convert", *self.converting_extras, also=also)

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
                next_step=self.install_for_converting,
            )

    def check_processor(self, name: str, provider: str | None) -> None:
        """Refuse a processor that no model is run on.

        Args:
            name: of the processor.
            provider: the engine's word for what runs there; None for whichever there is.

        Raises:
            UsageError: says what brings it, and what there is.
        """

        def fits(one: Processor) -> bool:
            return one.name == name and provider in (None, one.provider)

        if fits(self.processor):
            return
        next_step = f"Models run on {self.processor}."
        asked = name if provider is None else f"{name} with {provider}"
        other = next((one for one in self.other_processors if fits(one)), None)
        if other is None:
            raise UsageError(f"{self.title} knows nothing for {asked}", next_step=next_step)
        raise UsageError(
            f"{self.title} has no {other.provider} here, which {asked} takes",
            next_step=f"{next_step} {other.provider} would come into the app with {other.library} "
            "(slm app info lists what an app has); no model was ever run on it.",
        )

    def needed_runner(self) -> Runner:
        """What runs its artifacts on devices.

        Raises:
            EngineMismatch: there is no such program.
        """
        if self.runner is None:
            raise EngineMismatch(
                f"there is no runner for {self.title} yet, so its artifacts cannot be run on devices",
                next_step=f"Run them in {self.official_runtime}, or convert for another engine.",
            )
        return self.runner
